-- accounts: for a search. A short list of pending entries makes writes three times as cheap, and a search reads at most 8 pages of it. Made while the
-- service writes, where pg_trgm is.
create index concurrently if not exists users_by_part_of_name on users
    using gin (lower(first_name || ' ' || last_name collate "C") gin_trgm_ops) with (gin_pending_list_limit = 64);
