-- Alerts that came back to the council: one row per package, alert, and record of an alert. No identity.
create table if not exists packages (
    use_case varchar not null,
    as_of_month date not null,
    sealed_on date not null
);

create table if not exists cases (
    use_case varchar not null,
    as_of_month date not null,
    rank integer not null,
    score double not null,
    threshold double not null,
    reasons varchar not null,
    model_version varchar not null
);

create table if not exists case_records (
    use_case varchar not null,
    as_of_month date not null,
    rank integer not null,
    record_ref varchar not null
);

-- The key of the audit log: here, so that it moves with the store when storage keys are rotated.
create table if not exists audit_keys (audit_key blob not null);
