-- publisher: a row holds up to 32 events of one aggregate, a line each in `envelope`. It has the id of the first and the position of the last.
alter table events add column event_count integer not null default 1;

-- Nodes of earlier versions cannot read such rows. They led by the lease `publisher`, and get it no more: they leave publishing to nodes of this
-- version.
create function refuse_lease() returns trigger language plpgsql as $$
begin
    return null;
end $$;
create trigger earlier_versions_do_not_publish before insert or update on leases
    for each row when (new.name = 'publisher') execute function refuse_lease();
delete from leases where name = 'publisher';
