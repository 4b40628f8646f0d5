-- mailer: codes (0) are sent before notices (1) and reminders (2). The row that another version wrote counts as a notice.
alter table mail_intents add column priority integer not null default 1;

-- mailer: the request that caused the mail, for the log.
alter table mail_intents add column request_id text;

-- mailer: until when a node that sends the mail holds it. The node renews it while it sends.
alter table mail_intents add column claimed_until timestamptz;
create index mail_intents_by_priority on mail_intents (priority, due_at) where dead_at is null;
create index mail_intents_by_claim on mail_intents (claimed_until) where claimed_until is not null;

-- reminders: when an earlier schedule of the reminder was sent, so that none is sent twice on one day.
alter table reminder_schedules add column last_told_at timestamptz;
