-- reminders: reminders_of_user_by_id serves every look-up by user.
drop index reminders_of_user;
