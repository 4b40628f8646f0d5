drop trigger move_comment;
drop trigger discount_comment;
drop trigger count_comment;
drop table comment_counts;
