drop table claim_languages;
drop table address_changes;
