-- accounts: users who are erased and whose remaining rows are being removed in slices. `context` is the JSON of the context of their `user.deleted`.
create table erasures (
    user_id integer primary key references users (id) on delete cascade,
    requested_at integer not null,
    context text not null
);
