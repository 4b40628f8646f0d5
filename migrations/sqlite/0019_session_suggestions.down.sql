drop trigger list_suggestions_of_changed_detection;
drop trigger list_changed_suggestion;
drop trigger unlist_deleted_suggestion;
drop trigger list_added_suggestion;
drop table unlisted_suggestions;
drop table session_suggestions;
