-- Samples of a clerical review: references and verdicts, no identity. Encrypted as every store of the council.
create table if not exists samples (
    sample_id varchar primary key,
    drawn_on date not null,
    received_on date not null,
    closed_on date
);

create table if not exists pairs (
    sample_id varchar not null,
    number integer not null,
    record_ref_l varchar not null,
    record_ref_r varchar not null,
    primary key (sample_id, number)
);

-- A pair that was shown to an officer, or could not be (the reason of the refusal). Times are ISO text with their zone.
create table if not exists shown (
    sample_id varchar not null,
    number integer not null,
    officer varchar not null,
    shown_at varchar not null,
    refused varchar,
    primary key (sample_id, number, officer)
);

create table if not exists verdicts (
    sample_id varchar not null,
    number integer not null,
    officer varchar not null,
    role varchar not null,
    verdict varchar not null,
    given_at varchar not null,
    primary key (sample_id, number, officer)
);
