-- sessions: how often each emotion was detected in each quarter of an hour, for charts and lists, whatever the number of detections. Kept by
-- triggers, so that rows that other programs write are counted too. A session whose detections were changed or deleted, or that is older than
-- this migration, is uncounted: what reads counts its detections instead, until the service has counted them again.
--
-- What changes the counts of a session locks the session before. So two programs that write into it wait for each other, and for what counts
-- it. The service locks a session before it writes anything into it. Another program has its rows first; where both wait for each other,
-- PostgreSQL ends one of the two, and the service repeats its own.
--
-- The functions run as the owner of the tables, so that a program needs no rights on those of the counts. They find rows by index: a plan
-- that a connection made while the tables were small would read all of them later.
create table emotion_counts (
    session_id bigint not null,
    -- Quarters of an hour since 1970. Since 1980 every day of every time zone begins with one.
    quarter bigint not null,
    -- As it was sent, up to 500 characters.
    emotion text not null,
    user_id bigint not null,
    detections bigint not null,
    -- The last detection: its time, and the highest id.
    latest timestamptz not null,
    detection_id bigint not null,
    primary key (session_id, quarter, emotion)
);
create index emotion_counts_of_user on emotion_counts (user_id, quarter);
create table uncounted_sessions (
    session_id bigint primary key,
    user_id bigint not null
);
create index uncounted_sessions_of_user on uncounted_sessions (user_id, session_id);

-- Before the tables are locked, because it takes the longest.
insert into uncounted_sessions (session_id, user_id) select id, user_id from sessions;

-- Running nodes lock sessions before detections, and other programs may delete detections before sessions. So a wait is short, and frees what
-- was locked. EXCLUSIVE also waits for the locks of rows, which a batch of a running node takes first.
do $$
begin
    perform set_config('lock_timeout', '200ms', true);
    for attempt in 1..300 loop
        begin
            lock table sessions in exclusive mode;
            lock table emotion_detections in share row exclusive mode;
            lock table facial_data in share row exclusive mode;
            perform set_config('lock_timeout', '0', true);
            return;
        exception when lock_not_available or deadlock_detected then
            perform pg_sleep(0.1);
        end;
    end loop;
    raise exception 'the tables of sessions are in use; stop the long transaction on them, and migrate again';
end $$;

-- Sessions that were started or deleted meanwhile.
insert into uncounted_sessions (session_id, user_id) select id, user_id from sessions s
    where not exists (select 1 from uncounted_sessions u where u.session_id = s.id);
delete from uncounted_sessions u where not exists (select 1 from sessions s where s.id = u.session_id);

create function quarter_of(at timestamptz) returns bigint language sql immutable parallel safe as $$
    select floor(extract(epoch from at) / 900)::bigint
$$;

create function uncount_sessions(ids bigint[]) returns void language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from sessions where id = any (ids) order by id for no key update;
    delete from emotion_counts where session_id = any (ids);
    insert into uncounted_sessions (session_id, user_id) select id, user_id from sessions where id = any (ids)
        on conflict (session_id) do update set user_id = excluded.user_id
        where uncounted_sessions.user_id <> excluded.user_id;
end $$;

-- A second face replaces the first one of its detection. Only tools write one, so its session is counted anew.
create function count_faces() returns trigger language plpgsql
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
create trigger count_faces after insert on facial_data
    referencing new table as added for each statement execute function count_faces();

create function uncount_deleted_faces() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform uncount_sessions(array(
        select distinct d.session_id from removed r join emotion_detections d on d.id = r.detection_id));
    return null;
end $$;
create trigger uncount_deleted_faces after delete on facial_data
    referencing old table as removed for each statement execute function uncount_deleted_faces();

create function uncount_deleted_detections() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform uncount_sessions(array(select distinct session_id from removed));
    return null;
end $$;
create trigger uncount_deleted_detections after delete on emotion_detections
    referencing old table as removed for each statement execute function uncount_deleted_detections();

create function forget_deleted_sessions() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    delete from emotion_counts where session_id in (select id from removed);
    delete from uncounted_sessions where session_id in (select id from removed);
    return null;
end $$;
create trigger forget_deleted_sessions after delete on sessions
    referencing old table as removed for each statement execute function forget_deleted_sessions();

-- The service changes none of these.
create function uncount_changed_face() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform uncount_sessions(array(
        select distinct session_id from emotion_detections where id in (old.detection_id, new.detection_id)));
    return null;
end $$;
create trigger uncount_changed_face after update on facial_data for each row
    when ((old.detection_id, old.emotion) is distinct from (new.detection_id, new.emotion))
    execute function uncount_changed_face();

create function uncount_changed_detection() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform uncount_sessions(array[old.session_id, new.session_id]);
    return null;
end $$;
create trigger uncount_changed_detection after update on emotion_detections for each row
    when ((old.session_id, old.timestamp) is distinct from (new.session_id, new.timestamp))
    execute function uncount_changed_detection();

create function uncount_changed_session() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform uncount_sessions(array[new.id]);
    return null;
end $$;
create trigger uncount_changed_session after update on sessions for each row
    when (old.user_id is distinct from new.user_id)
    execute function uncount_changed_session();

create function forget_all_counts() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    delete from emotion_counts;
    delete from uncounted_sessions u where not exists (select 1 from sessions s where s.id = u.session_id);
    return null;
end $$;
create trigger forget_all_counts after truncate on sessions execute function forget_all_counts();
create trigger forget_all_counts after truncate on emotion_detections execute function forget_all_counts();
create trigger forget_all_counts after truncate on facial_data execute function forget_all_counts();
