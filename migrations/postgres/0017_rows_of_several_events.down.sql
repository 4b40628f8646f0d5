drop trigger earlier_versions_do_not_publish on leases;
drop function refuse_lease();

-- Rows of one event each again. Those that wait are all written anew, so that they keep their order. Nobody records meanwhile.
lock table events in access exclusive mode;
create temporary table single_events on commit drop as
    select e.seq, lines.number, case e.event_count when 1 then e.id else lines.envelope::json ->> 'id' end as id, e.aggregate, e.user_id,
        lines.envelope, e.recorded_at, e.position - e.event_count + lines.number as position, e.published_at, e.refusal
    from events e, unnest(case e.event_count when 1 then array[e.envelope] else string_to_array(e.envelope, chr(10)) end)
        with ordinality as lines (envelope, number)
    where e.envelope <> '' and (e.event_count > 1 or e.position is null);
delete from events where envelope <> '' and (event_count > 1 or position is null);
insert into events (id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal)
    select id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal
    from single_events order by seq, number;
alter table events drop column event_count;
