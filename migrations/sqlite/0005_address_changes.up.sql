-- user registry: the address that a user wants to move to, until a code that was mailed there is typed. One each at most.
create table address_changes (
    id integer primary key autoincrement,
    user_id integer not null unique references users (id) on delete cascade,
    address text not null,
    requested_at integer not null
);

-- user registry: the language in which whoever made a claim reads. A row stands here only where it is known.
create table claim_languages (
    claim_id integer primary key references claims (id) on delete cascade,
    language text not null
);
