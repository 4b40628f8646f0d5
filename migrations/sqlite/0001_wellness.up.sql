-- The ten tables that the predecessor's clients and tools know, for SQLite: times are microseconds since 1970 (UTC).
create table users (
    id integer primary key autoincrement,
    email text not null unique,
    password text,
    first_name text not null,
    last_name text not null,
    role text not null default 'user',
    status text not null default 'inactive',
    created_at integer not null
);

create table sessions (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    start_time integer not null,
    end_time integer
);
create index sessions_of_user on sessions (user_id, id);

create table emotion_detections (
    id integer primary key autoincrement,
    session_id integer not null references sessions (id) on delete cascade,
    timestamp integer not null
);
create index emotion_detections_of_session on emotion_detections (session_id, timestamp);

create table facial_data (
    id integer primary key autoincrement,
    detection_id integer not null references emotion_detections (id) on delete cascade,
    emotion text not null
);
create index facial_data_of_detection on facial_data (detection_id);

create table voice_data (
    id integer primary key autoincrement,
    detection_id integer not null references emotion_detections (id) on delete cascade,
    content text not null
);
create index voice_data_of_detection on voice_data (detection_id);

create table wellness_suggestions (
    id integer primary key autoincrement,
    detection_id integer not null references emotion_detections (id) on delete cascade,
    suggestion text not null,
    url text
);
create index wellness_suggestions_of_detection on wellness_suggestions (detection_id);

create table feedback (
    id integer primary key autoincrement,
    session_id integer not null references sessions (id) on delete cascade,
    comment text not null,
    rating integer not null
);
create index feedback_of_session on feedback (session_id);

create table community_posts (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    content text not null,
    created_at integer not null,
    updated_at integer not null
);
create index community_posts_of_user on community_posts (user_id);

create table community_comments (
    id integer primary key autoincrement,
    post_id integer not null references community_posts (id) on delete cascade,
    user_id integer not null references users (id) on delete cascade,
    content text not null,
    created_at integer not null,
    updated_at integer not null
);
create index community_comments_of_post on community_comments (post_id, id);
create index community_comments_of_user on community_comments (user_id);

create table reminders (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    title text not null,
    description text not null,
    reminder_time text not null,
    is_active boolean not null default true,
    created_at integer not null
);
create index reminders_of_user on reminders (user_id);
