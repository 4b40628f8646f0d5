drop trigger count_changed_user;
drop trigger count_deleted_user;
drop trigger count_added_user;
drop table user_counts;
