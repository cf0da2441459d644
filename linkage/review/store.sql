-- Samples of a clerical review as the analytics zone keeps them: what was drawn, from how many, and what came back.
create table if not exists review_samples (
    sample_id varchar primary key,
    drawn_on date not null,
    seed bigint not null,
    model_version integer not null,
    model_digest varchar not null,
    threshold double not null,
    records bigint not null,
    people bigint not null,
    below_floor bigint not null,
    again_of varchar
);

create table if not exists review_strata (
    sample_id varchar not null,
    stratum integer not null,
    linked boolean not null,
    lowest double,
    highest double,
    pairs bigint not null,
    drawn bigint not null,
    expected double not null,
    shares double not null
);

create table if not exists review_pairs (
    sample_id varchar not null,
    number integer not null,
    record_ref_l varchar not null,
    record_ref_r varchar not null,
    feeds varchar not null,
    stratum integer not null,
    match_weight double,
    linked boolean not null,
    share double not null
);

create table if not exists review_verdicts (
    sample_id varchar not null,
    record_ref_l varchar not null,
    record_ref_r varchar not null,
    verdict varchar not null,
    returned_on date not null
);
