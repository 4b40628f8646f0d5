-- accounts: as 0021.
create index concurrently if not exists users_by_part_of_email on users
    using gin (lower(email collate "C") gin_trgm_ops) with (gin_pending_list_limit = 64);
