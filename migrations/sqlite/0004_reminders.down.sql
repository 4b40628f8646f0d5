drop table reminder_schedules;
