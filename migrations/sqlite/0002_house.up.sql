-- What the rooms own beside the predecessor's tables.

-- user registry: what is ours to know of a user. `revision` is the change counter that every write bumps.
create table user_profiles (
    user_id integer primary key references users (id) on delete cascade,
    revision integer not null default 1,
    claims_made integer not null default 1,
    verified_at integer,
    time_zone text,
    language text
);

-- user registry: who says that an address is theirs, until a code that was mailed there is typed.
create table claims (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    first_name text not null,
    last_name text not null,
    password text not null,
    created_at integer not null
);
create index claims_of_user on claims (user_id, id);

-- logins: one row is one log-in with its family of refresh tokens; the tokens themselves are nowhere.
create table logins (
    id integer primary key autoincrement,
    user_id integer not null references users (id) on delete cascade,
    generation integer not null default 1,
    proven_generation integer not null default 0,
    created_at integer not null,
    rotated_at integer not null,
    last_used_at integer not null,
    expires_at integer not null,
    ended_at integer,
    device text not null,
    address text not null
);
create index logins_of_user on logins (user_id, id);
create index logins_by_expiry on logins (expires_at);

-- publisher: the outbox. `position` is given when an event is published, in the order in which it is.
create table events (
    seq integer primary key autoincrement,
    id text not null unique,
    aggregate text not null,
    user_id integer not null,
    envelope text not null,
    recorded_at integer not null,
    position integer unique,
    published_at integer
);
create index events_to_publish on events (seq) where position is null;
create index events_of_user on events (user_id, position);

-- mailer: who is to be mailed and why; never what.
create table mail_intents (
    id text primary key,
    occasion text not null,
    user_id integer,
    client text not null,
    created_at integer not null,
    due_at integer not null,
    attempts integer not null default 0,
    dead_at integer,
    last_error text
);
create index mail_intents_by_due on mail_intents (due_at) where dead_at is null;

-- otp: codes as keyed hashes, where no Redis is given.
create table codes (
    id text primary key,
    purpose text not null,
    address text not null,
    mac text not null,
    claim_id integer,
    intent text not null,
    client text not null,
    tries_left integer not null,
    minted_at integer not null,
    expires_at integer not null
);
create index codes_of_address on codes (address, purpose);
create index codes_by_expiry on codes (minted_at);

-- limits: how often something was tried, where no Redis is given.
create table counters (
    name text primary key,
    count integer not null,
    expires_at integer not null
);
create index counters_by_expiry on counters (expires_at);

-- idempotency: the first answer to a creating call, for those who ask again.
create table idempotency_keys (
    user_id integer not null references users (id) on delete cascade,
    call text not null,
    key text not null,
    body_hash text not null,
    answer text,
    created_at integer not null,
    primary key (user_id, call, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

-- kit: which node leads.
create table leases (
    name text primary key,
    holder text not null,
    expires_at integer not null
);
