-- community: the comments under each post. A post without a row has no comments. Triggers keep it, so that comments that other programs write and
-- delete are counted too. Their functions run as the owner of the tables and find rows by index, like those of 0013.
-- A program that may make temporary tables must not put one in the place of a table that these functions name.
select set_config('search_path', current_setting('search_path') || ', pg_temp', true);

-- Posts and comments cannot be written until the counts are made: some 3 s for a million comments. Posts first, as the service locks them.
lock table community_posts in exclusive mode;
lock table community_comments in share row exclusive mode;
create table comment_counts (
    post_id bigint primary key,
    comments bigint not null
);
insert into comment_counts (post_id, comments) select post_id, count(*) from community_comments
    where post_id in (select id from community_posts) group by post_id;
-- After the rows, so that it is checked for all of them at once.
alter table comment_counts add foreign key (post_id) references community_posts (id) on delete cascade;

create function count_comments() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    insert into comment_counts as known (post_id, comments)
        select post_id, count(*) from added group by post_id order by post_id
        on conflict (post_id) do update set comments = known.comments + excluded.comments;
    return null;
end $$;
create function discount_comments() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from comment_counts where post_id = any (array(select post_id from removed)) order by post_id for update;
    update comment_counts known set comments = known.comments - gone.comments
        from (select post_id, count(*) as comments from removed group by post_id) as gone
        where known.post_id = gone.post_id;
    return null;
end $$;
create function move_comment() returns trigger language plpgsql
    security definer set search_path from current
    set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
begin
    perform 1 from comment_counts where post_id in (old.post_id, new.post_id) order by post_id for update;
    update comment_counts set comments = comments - 1 where post_id = old.post_id;
    insert into comment_counts as known (post_id, comments) values (new.post_id, 1)
        on conflict (post_id) do update set comments = known.comments + 1;
    return null;
end $$;
create function forget_all_comment_counts() returns trigger language plpgsql
    security definer set search_path from current as $$
begin
    delete from comment_counts;
    return null;
end $$;
create trigger count_comments after insert on community_comments
    referencing new table as added for each statement execute function count_comments();
create trigger discount_comments after delete on community_comments
    referencing old table as removed for each statement execute function discount_comments();
create trigger move_comment after update on community_comments for each row
    when (old.post_id is distinct from new.post_id) execute function move_comment();
create trigger forget_all_comment_counts after truncate on community_comments
    execute function forget_all_comment_counts();
