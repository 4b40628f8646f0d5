-- accounts: parts of names and addresses are found by their trigrams. The table is an index only: it has no copy of the texts, and a search compares
-- the users that it finds. Triggers keep it. A program that writes users needs SQLite 3.42 with FTS5. INSERT OR REPLACE leaves the trigrams of the
-- replaced user.
create virtual table user_search using fts5 (name, email, content = '', columnsize = 0, tokenize = 'trigram');
-- The trigrams of deleted users are removed at once.
insert into user_search (user_search, rank) values ('secure-delete', 1);
insert into user_search (rowid, name, email) select id, first_name || ' ' || last_name, email from users;

create trigger index_added_user after insert on users begin
    insert into user_search (rowid, name, email) values (new.id, new.first_name || ' ' || new.last_name, new.email);
end;
create trigger unindex_deleted_user after delete on users begin
    insert into user_search (user_search, rowid, name, email)
        values ('delete', old.id, old.first_name || ' ' || old.last_name, old.email);
end;
create trigger index_changed_user after update of id, first_name, last_name, email on users
    when (old.id, old.first_name, old.last_name, old.email) is not (new.id, new.first_name, new.last_name, new.email)
begin
    insert into user_search (user_search, rowid, name, email)
        values ('delete', old.id, old.first_name || ' ' || old.last_name, old.email);
    insert into user_search (rowid, name, email) values (new.id, new.first_name || ' ' || new.last_name, new.email);
end;
