drop table detection_details;
