-- accounts: parts of names and addresses are found by their trigrams. The extension is trusted: a role with CREATE on the database may make it.
-- Without it, or where it is not in the search path, the next two migrations make no index, and a search reads all users.
do $$
begin
    create extension if not exists pg_trgm;
exception when insufficient_privilege or undefined_file or feature_not_supported then
    raise notice 'pg_trgm was not made: %', sqlerrm;
end $$;
