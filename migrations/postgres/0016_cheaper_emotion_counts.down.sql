select set_config('search_path', current_setting('search_path') || ', pg_temp', true);
create or replace function count_faces() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
    ids bigint[];
begin
    select array_agg(distinct d.session_id) into ids
        from added a join emotion_detections d on d.id = a.detection_id;
    perform 1 from sessions where id = any (ids) order by id for no key update;
    select array_agg(distinct d.session_id) into ids
        from added a join emotion_detections d on d.id = a.detection_id
        where exists (select 1 from facial_data f where f.detection_id = a.detection_id and f.id <> a.id);
    if ids is not null then
        perform uncount_sessions(ids);
    end if;
    insert into emotion_counts as known (session_id, quarter, emotion, user_id, detections, latest, detection_id)
        select d.session_id, quarter_of(d.timestamp), left(a.emotion, 500), s.user_id, count(*), max(d.timestamp), max(d.id)
        from added a join emotion_detections d on d.id = a.detection_id join sessions s on s.id = d.session_id
        where isfinite(d.timestamp) and a.emotion is not null
            and not exists (select 1 from uncounted_sessions u where u.session_id = d.session_id)
        group by 1, 2, 3, 4
        on conflict (session_id, quarter, emotion) do update set
            detections = known.detections + excluded.detections,
            latest = greatest(known.latest, excluded.latest),
            detection_id = greatest(known.detection_id, excluded.detection_id);
    return null;
end $$;
