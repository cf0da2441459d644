create schema if not exists risk;

-- One row per household, as_of_month and use case: its score, its place in the month, and why.
create table if not exists risk.scores (
    as_of_month date not null,
    use_case varchar not null,
    household_id varchar not null,
    property_ref varchar not null,
    score double not null,
    rank integer not null,
    percentile double not null,
    model_version varchar not null,
    reasons json not null,
);

-- One row per household whose score passes the use case's threshold in a month.
create table if not exists risk.alerts (
    as_of_month date not null,
    use_case varchar not null,
    household_id varchar not null,
    property_ref varchar not null,
    score double not null,
    rank integer not null,
    model_version varchar not null,
    reasons json not null,
);

-- One row per time that a model became the current one of its use case. `sequence` counts those: the latest counts.
create table if not exists risk.model_versions (
    use_case varchar not null,
    model_version varchar not null,
    sequence integer not null,
    trained_as_of date not null,
    sha256 varchar not null,
);

-- One row per model version, ranking (the model or a baseline), measure and top share, on the temporal split.
create table if not exists risk.evaluations (
    use_case varchar not null,
    model_version varchar not null,
    ranking varchar not null,
    measure varchar not null,
    top_share double,
    value double,
    numerator double not null,
    denominator double not null,
    low double,
    high double,
);

-- One row per model version and bin of the calibration curve, on the temporal split.
create table if not exists risk.calibration (
    use_case varchar not null,
    model_version varchar not null,
    bin integer not null,
    mean_score double not null,
    event_share double not null,
    households integer not null,
    events integer not null,
);
