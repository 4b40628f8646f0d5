-- publisher: why an event was refused. It is a dead letter then, and stops no other event.
alter table events add column refusal text;

-- publisher: the positions that the stream lost and that the outbox no longer held.
create table event_gaps (
    first_position bigint primary key,
    last_position bigint not null,
    found_at timestamptz not null
);
