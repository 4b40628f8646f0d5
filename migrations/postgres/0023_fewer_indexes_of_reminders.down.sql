create index reminders_of_user on reminders (user_id);
