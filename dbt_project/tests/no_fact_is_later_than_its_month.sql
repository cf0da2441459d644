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
        last_care_date,
        antisocial_behaviour_date,
        child_in_need_referral_date,
        early_help_date,
        mash_contact_date,
        mash_domestic_abuse_contact_date,
        electoral_registration_date,
        benefit_application_date,
        housing_register_application_date,
        hub_offer_date,
        school_census_date,
        sundry_debt_stage_date
    ) >= as_of_month
