-- A feature row may only tell of what happened before its month: a later date would leak the future.
with

features as (
    select * from {{ ref('household_features') }}
)

select
    household_id,
    as_of_month,
from features
where
    greatest(
        resident_since,
        council_tax_stage_date,
        summons_date,
        liability_order_date,
        rent_arrears_since,
        notice_date,
        rent_court_date,
        last_case_date,
        last_care_date
    ) >= as_of_month
