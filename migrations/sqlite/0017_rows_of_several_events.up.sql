-- publisher: a row holds up to 32 events of one aggregate, a line each in `envelope`. It has the id of the first and the position of the last.
alter table events add column event_count integer not null default 1;
delete from leases where name = 'publisher';
