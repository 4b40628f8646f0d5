-- Indexes for reads that touched more rows the longer the history of a user was. Tables in the order in which the service writes them, so that
-- the locks of this migration and those of a running node wait for each other in one direction.
--
-- accounts: the list of users by role and by status, and whether another admin is active. Nearly all users have the usual ones, so these
-- are not indexed.
create index users_of_unusual_role on users (role, id) where role <> 'user';
create index users_of_unusual_status on users (status, id) where status <> 'active';
-- logins: those that live are few, those that have ended stay for a while.
create index logins_alive on logins (user_id, expires_at) where ended_at is null;
-- logins: whether the user has been on a network before.
create index logins_by_address on logins (user_id, address);
-- reminders: pages of a user's reminders, newest first.
create index reminders_of_user_by_id on reminders (user_id, id);
