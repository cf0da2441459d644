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

first_duties as (
    select
        members.household_id,
        members.as_of_month,
        min(duties.duty_date) as duty_date,
    from members
    inner join duties
        on
            members.person_id = duties.person_id
            and members.as_of_month <= duties.duty_date
            and members.as_of_month + interval 9 month > duties.duty_date
    group by members.household_id, members.as_of_month
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
