{{ config(materialized='table') }}

with

members as (
    select * from {{ ref('int_household_members') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

cases as (
    select * from {{ ref('stg_homelessness_cases__cases') }}
),

deliveries as (
    select * from {{ ref('stg_deliveries') }}
),

-- Labels look back from now: what is known today about the months that were still to come.
duties as (
    select distinct
        people.person_id,
        cases.duty_date,
        if({{ is_no_home('cases.accommodation') }}, null, cases.property_ref) as property_ref,
    from cases
    inner join people on cases.record_ref = people.record_ref
    where cases.is_duty_owed and cases.superseded_on is null
),

observed as (
    select max(delivery_date) as observed_until,
    from deliveries
    where feed = 'homelessness_cases'
),

households as (
    select
        household_id,
        as_of_month,
        any_value(property_ref) as property_ref,
    from members
    group by household_id, as_of_month
),

months as (
    select distinct as_of_month from members
),

candidate_duties as (
    select
        months.as_of_month,
        duties.person_id,
        duties.duty_date,
        duties.property_ref,
    from months
    inner join duties
        on
            months.as_of_month <= duties.duty_date
            and months.as_of_month + interval 9 month > duties.duty_date
),

of_members as (
    select
        candidate_duties.as_of_month,
        members.household_id,
        candidate_duties.person_id,
        candidate_duties.duty_date,
    from candidate_duties
    inner join members
        on
            candidate_duties.as_of_month = members.as_of_month
            and candidate_duties.person_id = members.person_id
),

-- Partners name few of the people in a home. An applicant not known to live anywhere then belongs to the
-- household whose address they gave, if that household was still there when the duty came to be owed.
of_unknown_applicants as (
    select
        candidate_duties.as_of_month,
        households.household_id,
        candidate_duties.person_id,
        candidate_duties.duty_date,
    from candidate_duties
    inner join households
        on
            candidate_duties.as_of_month = households.as_of_month
            and candidate_duties.property_ref = households.property_ref
    semi join households as later
        on
            households.household_id = later.household_id
            and date_trunc('month', candidate_duties.duty_date) = later.as_of_month
    anti join members
        on
            candidate_duties.as_of_month = members.as_of_month
            and candidate_duties.person_id = members.person_id
),

household_duties as (
    select * from of_members
    union all
    select * from of_unknown_applicants
),

first_duties as (
    select
        as_of_month,
        household_id,
        min(duty_date) as duty_date,
    from household_duties
    group by as_of_month, household_id
)

select
    households.household_id::varchar as household_id,
    households.as_of_month::date as as_of_month,
    first_duties.duty_date::date as duty_date,
    observed.observed_until::date as observed_until,
    {% for horizon in [1, 3, 6, 9] %}
        {{ is_owed_within('first_duties.duty_date', 'households.as_of_month', horizon) }}
            as is_owed_{{ horizon }}m,
        {{ is_observed('observed.observed_until', 'households.as_of_month', horizon) }}
            as is_complete_{{ horizon }}m,
    {% endfor %}
from households
cross join observed
left join first_duties
    on
        households.household_id = first_duties.household_id
        and households.as_of_month = first_duties.as_of_month
