-- reminders: when each is to be told, and when it was. Without `due_at` it is not told: it is switched off, or its day was over. A reminder of
-- the predecessor has no row until it is first seen.
create table reminder_schedules (
    reminder_id bigint primary key references reminders (id) on delete cascade,
    due_at timestamptz,
    told_at timestamptz
);
create index reminder_schedules_to_tell on reminder_schedules (due_at) where told_at is null;
