-- The ledger of deliveries, and the files in the inbox that it was made from.
create table if not exists deliveries (
    feed varchar not null,
    delivery_id varchar not null,
    delivery_date date not null,
    received_date date not null,
    kind varchar not null,
    content_mac varchar not null,
    files json not null,
    state varchar not null,
    rows_in bigint,
    rows_quarantined bigint,
    rows_sealed bigint,
    message varchar,
    registered_on date not null,
    primary key (feed, delivery_id)
);

-- Size and time of change tell an unchanged file without reading it.
create table if not exists inbox_files (
    path varchar not null primary key,
    bytes bigint not null,
    mtime_ns bigint not null,
    received_date date not null,
    feed varchar not null,
    table_name varchar not null,
    delivery_date date not null,
    kind varchar not null,
    content_mac varchar not null
);

-- Counts by column and by the contract's codes, one row per table of a delivery: the trends of feed health.
create table if not exists delivery_profiles (
    feed varchar not null,
    delivery_id varchar not null,
    table_name varchar not null,
    profile json not null,
    primary key (feed, delivery_id, table_name)
);
