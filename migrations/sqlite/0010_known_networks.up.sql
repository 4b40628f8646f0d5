-- logins: a network from which the user entered what was mailed to the user's address.
create table known_networks (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    network text not null,
    proven_at integer not null,
    unique (user_id, network)
);
create index known_networks_by_age on known_networks (proven_at);

-- user registry: the network of the client that registered, so that one client does not take the places of all.
alter table claims add column network text;
