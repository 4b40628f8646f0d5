-- sessions: the suggestions of each session, for the list of sessions, which looked for the first one among all detections of a session. Triggers
-- keep them, so that suggestions that other programs write are listed too.
create table session_suggestions (
    suggestion_id integer primary key,
    session_id integer not null references sessions (id) on delete cascade
);
create index session_suggestions_of_session on session_suggestions (session_id, suggestion_id);

-- The ids of the suggestions that are older than this migration and not listed yet. The service lists them in the background. While there is a row,
-- the list of sessions looks among the detections.
create table unlisted_suggestions (
    first_id integer primary key,
    last_id integer not null
);
insert into unlisted_suggestions (first_id, last_id)
    select min(id), max(id) from wellness_suggestions having max(id) is not null;

-- A program may have replaced a suggestion or left a session's rows, so an entry may be there before its suggestion.
create trigger list_added_suggestion after insert on wellness_suggestions begin
    insert into session_suggestions (suggestion_id, session_id)
        select new.id, d.session_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = new.detection_id
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
end;
create trigger unlist_deleted_suggestion after delete on wellness_suggestions begin
    delete from session_suggestions where suggestion_id = old.id;
end;
-- The service changes none of these.
create trigger list_changed_suggestion after update of id, detection_id on wellness_suggestions begin
    delete from session_suggestions where suggestion_id = old.id;
    insert into session_suggestions (suggestion_id, session_id)
        select new.id, d.session_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = new.detection_id
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
end;
create trigger list_suggestions_of_changed_detection after update of session_id on emotion_detections begin
    insert into session_suggestions (suggestion_id, session_id)
        select w.id, s.id from wellness_suggestions w join sessions s on s.id = new.session_id
        where w.detection_id = new.id
        on conflict (suggestion_id) do update set session_id = excluded.session_id;
end;
