-- logins: those that have ended are swept some time later. Made while the service writes.
create index concurrently if not exists logins_by_end on logins (ended_at) where ended_at is not null;
