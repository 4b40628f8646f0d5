-- Rows of one event each again. Those that wait are all written anew, so that they keep their order.
create temporary table single_events as
    select e.seq, lines.key as number, json_extract(lines.value, '$.id') as id, e.aggregate, e.user_id, lines.value as envelope, e.recorded_at,
        e.position - e.event_count + 1 + lines.key as position, e.published_at, e.refusal
    from events e, json_each('[' || replace(e.envelope, char(10), ',') || ']') as lines
    where e.envelope <> '' and (e.event_count > 1 or e.position is null);
delete from events where envelope <> '' and (event_count > 1 or position is null);
insert into events (id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal)
    select id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal
    from single_events order by seq, number;
drop table single_events;
alter table events drop column event_count;
