-- The key store of a partner's vault: a data key for each identity, wrapped by the partner's key, and a keyed
-- digest that tells an identity met again. An erased subject has a tombstone and no keys.
create table if not exists data_keys (
    version bigint not null,
    record_ref varchar not null using compression uncompressed,
    digest blob not null using compression uncompressed,
    wrapped_key blob not null using compression uncompressed
);

create table if not exists tombstones (record_ref varchar not null);

create table if not exists digest_keys (wrapped_key blob not null);
