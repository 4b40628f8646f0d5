-- session tracker: what is ours to know of a detection. A row stands here only where there is something to know.
create table detection_details (
    detection_id integer primary key references emotion_detections (id) on delete cascade,
    confidence real not null
);
