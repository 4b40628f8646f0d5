drop trigger index_changed_user;
drop trigger unindex_deleted_user;
drop trigger index_added_user;
drop table user_search;
