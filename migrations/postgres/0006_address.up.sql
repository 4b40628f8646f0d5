-- user registry: an address is one account's whatever its letters' case, also for a program that writes it as it was typed.
create unique index users_of_address on users (lower(email));
