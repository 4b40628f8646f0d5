-- Rows of one event each again. Those that wait are all written anew, so that they keep their order.
create temporary table single_events as
    select seq, 0 as number, id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal
    from events where event_count = 1 and envelope <> '' and position is null
    union all
    select e.seq, lines.key, json_extract(lines.value, '$.id'), e.aggregate, e.user_id, lines.value, e.recorded_at,
        e.position - e.event_count + 1 + lines.key, e.published_at, e.refusal
    from events e,
        json_each(case when e.event_count > 1 then '[' || replace(e.envelope, char(10), ',') || ']' else '[]' end) as lines
    where e.event_count > 1;
delete from events where envelope <> '' and (event_count > 1 or position is null);
insert into events (id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal)
    select id, aggregate, user_id, envelope, recorded_at, position, published_at, refusal
    from single_events order by seq, number;
drop table single_events;
alter table events drop column event_count;
