drop trigger forget_all_comment_counts on community_comments;
drop trigger move_comment on community_comments;
drop trigger discount_comments on community_comments;
drop trigger count_comments on community_comments;
drop function forget_all_comment_counts;
drop function move_comment;
drop function discount_comments;
drop function count_comments;
drop table comment_counts;
