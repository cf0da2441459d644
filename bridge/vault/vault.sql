-- A partner's vault. Which delivery brought which identity of a record, and the identity, encrypted. Every
-- identity that a record ever had is one row, with the first and the last delivery that said so.
create table if not exists deliveries (
    delivery_no integer not null,
    feed varchar not null,
    table_name varchar not null,
    delivery_date date not null,
    received_date date not null,
    delivery_id varchar not null
);

create table if not exists identities (
    version bigint not null,
    record_ref varchar not null using compression uncompressed,
    first_delivery integer not null,
    last_delivery integer not null,
    layout utinyint not null,
    nonce blob not null using compression uncompressed,
    identity blob not null using compression uncompressed
);
