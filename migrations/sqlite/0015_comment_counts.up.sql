-- community: the comments under each post. A post without a row has no comments. Triggers keep it, so that comments that other programs write and
-- delete are counted too; of INSERT OR REPLACE only the new row.
create table comment_counts (
    post_id integer primary key references community_posts (id) on delete cascade,
    comments integer not null
);
create trigger count_comment after insert on community_comments begin
    insert into comment_counts (post_id, comments) values (new.post_id, 1)
        on conflict (post_id) do update set comments = comments + 1;
end;
create trigger discount_comment after delete on community_comments begin
    update comment_counts set comments = comments - 1 where post_id = old.post_id;
end;
create trigger move_comment after update of post_id on community_comments begin
    update comment_counts set comments = comments - 1 where post_id = old.post_id;
    insert into comment_counts (post_id, comments) values (new.post_id, 1)
        on conflict (post_id) do update set comments = comments + 1;
end;
insert into comment_counts (post_id, comments) select post_id, count(*) from community_comments
    where post_id in (select id from community_posts) group by post_id;
