with

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

accounts as (
    select * from {{ ref('stg_council_tax__accounts') }}
),

tenants as (
    select * from {{ ref('stg_housing_tenancies__tenants') }}
),

cases as (
    select * from {{ ref('stg_homelessness_cases__cases') }}
),

care_events as (
    select * from {{ ref('stg_adult_social_care__events') }}
),

-- Records of where somebody lives.
from_accounts as (
    select
        months.as_of_month,
        'council_tax' as feed,
        accounts.record_ref,
        accounts.property_ref,
        accounts.start_date,
        accounts.end_date,
        accounts.year_of_birth,
        accounts.liability_position = 1 as is_lead,
        false as is_child,
        false as is_sighting,
    from months
    inner join accounts on {{ current_as_of('accounts', 'months.as_of_month') }}
),

from_tenants as (
    select
        months.as_of_month,
        'housing_tenancies' as feed,
        tenants.record_ref,
        tenants.property_ref,
        tenants.start_date,
        tenants.end_date,
        tenants.year_of_birth,
        tenants.is_main_tenant as is_lead,
        coalesce(tenants.relationship_code = 'CHILD', false) as is_child,
        false as is_sighting,
    from months
    inner join tenants on {{ current_as_of('tenants', 'months.as_of_month') }}
),

-- Records that only saw somebody at an address: they place a person whom no record of residence places.
from_cases as (
    select
        months.as_of_month,
        'homelessness_cases' as feed,
        cases.record_ref,
        if({{ is_no_home('cases.accommodation') }}, null, cases.property_ref) as property_ref,
        cases.application_date as start_date,
        null::date as end_date,
        cases.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join cases on {{ current_as_of('cases', 'months.as_of_month') }}
),

from_care as (
    select
        months.as_of_month,
        'adult_social_care' as feed,
        care_events.record_ref,
        care_events.property_ref,
        care_events.event_date as start_date,
        null::date as end_date,
        care_events.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join care_events on {{ current_as_of('care_events', 'months.as_of_month') }}
),

claims as (
    select * from from_accounts
    union all
    select * from from_tenants
    union all
    select * from from_cases
    union all
    select * from from_care
)

select
    claims.as_of_month,
    people.person_id,
    claims.property_ref,
    claims.start_date,
    claims.end_date,
    claims.feed,
    claims.record_ref,
    claims.year_of_birth,
    claims.is_lead,
    claims.is_child,
    claims.is_sighting,
from claims
inner join people on claims.record_ref = people.record_ref
where claims.start_date < claims.as_of_month
