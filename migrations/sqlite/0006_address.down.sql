drop index users_of_address;
