-- accounts: the users of each status and role, for the total of the list of users. Triggers keep it, so that users that other programs write are
-- counted too. INSERT OR REPLACE and UPDATE OR REPLACE replace a user without a word to the triggers: a program that uses them deletes first.
create table user_counts (
    status text not null,
    role text not null,
    users integer not null,
    primary key (status, role)
) without rowid;
create trigger count_added_user after insert on users begin
    insert into user_counts (status, role, users) values (new.status, new.role, 1)
        on conflict (status, role) do update set users = users + 1;
end;
create trigger count_deleted_user after delete on users begin
    update user_counts set users = users - 1 where status = old.status and role = old.role;
end;
create trigger count_changed_user after update of status, role on users
    when (old.status, old.role) is not (new.status, new.role)
begin
    update user_counts set users = users - 1 where status = old.status and role = old.role;
    insert into user_counts (status, role, users) values (new.status, new.role, 1)
        on conflict (status, role) do update set users = users + 1;
end;
insert into user_counts (status, role, users) select status, role, count(*) from users group by status, role;
