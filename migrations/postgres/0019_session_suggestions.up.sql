-- sessions: the suggestions of each session, for the list of sessions, which looked for the first one among all detections of a session. Triggers
-- keep them, so that suggestions that other programs write are listed too. Their functions run as the owner of the tables and find rows by index,
-- like those of 0013.
-- A program that may make temporary tables must not put one in the place of a table that these functions name.
select set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- In the order in which the service locks them. EXCLUSIVE also waits for the locks of rows, which a batch of a running node takes first.
lock table sessions in exclusive mode;
lock table emotion_detections in share row exclusive mode;
lock table wellness_suggestions in share row exclusive mode;

create table session_suggestions (
    suggestion_id bigint primary key,
    session_id bigint not null references sessions (id) on delete cascade
);
create index session_suggestions_of_session on session_suggestions (session_id, suggestion_id);

-- The ids of the suggestions that are older than this migration and not listed yet. The service lists them in the background. While there is a row,
-- the list of sessions looks among the detections.
create table unlisted_suggestions (
    first_id bigint primary key,
    last_id bigint not null
);
insert into unlisted_suggestions (first_id, last_id)
    select min(id), max(id) from wellness_suggestions having max(id) is not null;

-- The lock lets a change of the detection's session be seen, or see the suggestion.
create function list_added_suggestions() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into session_suggestions (suggestion_id, session_id)
        select a.id, d.session_id from added a join emotion_detections d on d.id = a.detection_id
            join sessions s on s.id = d.session_id
        order by d.id for share of d
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
    return null;
end $$;
create function unlist_deleted_suggestions() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    delete from session_suggestions where suggestion_id = any (array(select id from removed));
    return null;
end $$;
create function unlist_all_suggestions() returns trigger language plpgsql
    security definer set search_path from current as $$
begin
    delete from session_suggestions;
    return null;
end $$;
-- The service changes none of these.
create function list_changed_suggestion() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    delete from session_suggestions where suggestion_id = old.id;
    insert into session_suggestions (suggestion_id, session_id)
        select new.id, d.session_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = new.detection_id for share of d
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
    return null;
end $$;
create function list_suggestions_of_changed_detection() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into session_suggestions (suggestion_id, session_id)
        select w.id, s.id from wellness_suggestions w join sessions s on s.id = new.session_id
        where w.detection_id = new.id
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
    return null;
end $$;
create trigger list_added_suggestions after insert on wellness_suggestions
    referencing new table as added for each statement execute function list_added_suggestions();
create trigger unlist_deleted_suggestions after delete on wellness_suggestions
    referencing old table as removed for each statement execute function unlist_deleted_suggestions();
create trigger unlist_all_suggestions after truncate on wellness_suggestions
    execute function unlist_all_suggestions();
create trigger list_changed_suggestion after update on wellness_suggestions for each row
    when ((old.id, old.detection_id) is distinct from (new.id, new.detection_id))
    execute function list_changed_suggestion();
create trigger list_suggestions_of_changed_detection after update on emotion_detections for each row
    when (old.session_id is distinct from new.session_id)
    execute function list_suggestions_of_changed_detection();
