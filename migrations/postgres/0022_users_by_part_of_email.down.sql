drop index if exists users_by_part_of_email;
