-- Rows that broke a rule, as they were sent. One row per broken rule of a row.
create table if not exists quarantined_rows (
    delivery_id varchar not null,
    table_name varchar not null,
    row_number bigint not null,
    rule varchar not null,
    column_name varchar,
    remedy varchar not null,
    raw_row json not null
);
