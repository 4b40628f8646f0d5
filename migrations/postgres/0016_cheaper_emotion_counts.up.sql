-- sessions: count_faces of 0013 with half the look-ups: whether a detection had a face before is asked of the faces alone, and what holds for a
-- session is looked up once a session, not once a detection.
-- A program that may make temporary tables must not put one in the place of a table that these functions name.
select set_config('search_path', current_setting('search_path') || ', pg_temp', true);

alter function uncount_sessions set search_path from current;
alter function uncount_deleted_faces set search_path from current;
alter function uncount_deleted_detections set search_path from current;
alter function forget_deleted_sessions set search_path from current;
alter function uncount_changed_face set search_path from current;
alter function uncount_changed_detection set search_path from current;
alter function uncount_changed_session set search_path from current;
alter function forget_all_counts set search_path from current;

create or replace function count_faces() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    ids bigint[];
begin
    ids := array(select distinct d.session_id from added a join emotion_detections d on d.id = a.detection_id);
    perform 1 from sessions where id = any (ids) order by id for no key update;
    ids := array(select a.detection_id from added a
        where exists (select 1 from facial_data f where f.detection_id = a.detection_id and f.id <> a.id));
    if cardinality(ids) > 0 then
        perform uncount_sessions(array(select distinct session_id from emotion_detections where id = any (ids)));
    end if;
    insert into emotion_counts as known (session_id, quarter, emotion, user_id, detections, latest, detection_id)
        select seen.session_id, seen.quarter, seen.emotion, s.user_id, seen.detections, seen.latest, seen.detection_id
        from (
            select d.session_id, quarter_of(d.timestamp) as quarter, left(a.emotion, 500) as emotion,
                count(*) as detections, max(d.timestamp) as latest, max(d.id) as detection_id
            from added a join emotion_detections d on d.id = a.detection_id
            where isfinite(d.timestamp) and a.emotion is not null
            group by 1, 2, 3
        ) as seen
        join sessions s on s.id = seen.session_id
        where not exists (select 1 from uncounted_sessions u where u.session_id = seen.session_id)
        on conflict (session_id, quarter, emotion) do update set
            detections = known.detections + excluded.detections,
            latest = greatest(known.latest, excluded.latest),
            detection_id = greatest(known.detection_id, excluded.detection_id);
    return null;
end $$;
