-- accounts: when another program registered the account. NULL: this program did. Only accounts that this program registered are erased for not
-- having been verified.
alter table user_profiles add column registered_elsewhere_at timestamptz;
