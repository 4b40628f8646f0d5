-- sessions: how often each emotion was detected in each quarter of an hour, for charts and lists, whatever the number of detections. Kept by
-- triggers, so that rows that other programs write are counted too. A session whose detections were changed or deleted, or that is older than
-- this migration, is uncounted: what reads counts its detections instead, until the service has counted them again.
create table emotion_counts (
    session_id integer not null,
    -- Quarters of an hour since 1970. Since 1980 every day of every time zone begins with one.
    quarter integer not null,
    -- As it was sent, up to 500 characters.
    emotion text not null,
    user_id integer not null,
    detections integer not null,
    -- The last detection: its time, and the highest id.
    latest integer not null,
    detection_id integer not null,
    primary key (session_id, quarter, emotion)
) without rowid;
create index emotion_counts_of_user on emotion_counts (user_id, quarter);
create table uncounted_sessions (
    session_id integer primary key,
    user_id integer not null
);
create index uncounted_sessions_of_user on uncounted_sessions (user_id, session_id);

create trigger count_face after insert on facial_data begin
    -- Division rounds towards zero, and a quarter begins before its times also before 1970.
    insert into emotion_counts (session_id, quarter, emotion, user_id, detections, latest, detection_id)
        select d.session_id, (d.timestamp - (d.timestamp % 900000000 + 900000000) % 900000000) / 900000000,
            substr(new.emotion, 1, 500), s.user_id, 1, d.timestamp, d.id
        from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = new.detection_id
            and not exists (select 1 from uncounted_sessions u where u.session_id = d.session_id)
        on conflict (session_id, quarter, emotion) do update set
            detections = detections + 1,
            latest = max(latest, excluded.latest),
            detection_id = max(detection_id, excluded.detection_id);
end;
-- A second face replaces the first one of its detection. Only tools write one, so its session is counted anew.
create trigger uncount_second_face after insert on facial_data
    when exists (select 1 from facial_data f where f.detection_id = new.detection_id and f.id <> new.id)
begin
    delete from emotion_counts
        where session_id = (select session_id from emotion_detections where id = new.detection_id);
    insert into uncounted_sessions (session_id, user_id)
        select s.id, s.user_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = new.detection_id on conflict (session_id) do nothing;
end;
create trigger uncount_deleted_face after delete on facial_data begin
    delete from emotion_counts
        where session_id = (select session_id from emotion_detections where id = old.detection_id);
    insert into uncounted_sessions (session_id, user_id)
        select s.id, s.user_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id = old.detection_id on conflict (session_id) do nothing;
end;
create trigger uncount_deleted_detection after delete on emotion_detections begin
    delete from emotion_counts where session_id = old.session_id;
    insert into uncounted_sessions (session_id, user_id)
        select id, user_id from sessions where id = old.session_id on conflict (session_id) do nothing;
end;
create trigger forget_deleted_session after delete on sessions begin
    delete from emotion_counts where session_id = old.id;
    delete from uncounted_sessions where session_id = old.id;
end;
-- The service changes none of these.
create trigger uncount_changed_face after update of detection_id, emotion on facial_data begin
    delete from emotion_counts where session_id in
        (select session_id from emotion_detections where id in (old.detection_id, new.detection_id));
    insert into uncounted_sessions (session_id, user_id)
        select s.id, s.user_id from emotion_detections d join sessions s on s.id = d.session_id
        where d.id in (old.detection_id, new.detection_id) on conflict (session_id) do nothing;
end;
create trigger uncount_changed_detection after update of session_id, timestamp on emotion_detections begin
    delete from emotion_counts where session_id in (old.session_id, new.session_id);
    insert into uncounted_sessions (session_id, user_id)
        select id, user_id from sessions where id in (old.session_id, new.session_id)
        on conflict (session_id) do nothing;
end;
create trigger uncount_changed_session after update of user_id on sessions begin
    delete from emotion_counts where session_id = new.id;
    insert into uncounted_sessions (session_id, user_id) values (new.id, new.user_id)
        on conflict (session_id) do update set user_id = excluded.user_id;
end;

insert into uncounted_sessions (session_id, user_id) select id, user_id from sessions;
