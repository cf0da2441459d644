with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

victims as (
    select * from {{ ref('stg_antisocial_behaviour__victims') }}
),

incidents as (
    select * from {{ ref('stg_antisocial_behaviour__incidents') }}
)

select
    members.as_of_month,
    members.household_id,
    count(distinct incidents.incident_ref) as incidents_24m,
    count(distinct incidents.incident_ref) filter (
        where incidents.incident_date >= members.as_of_month - interval 12 month
    ) as incidents_12m,
    max(incidents.incident_date) as incident_date,
    bool_or(incidents.place_type in ('AT_HOME', 'COMMUNAL_AREA')) as is_at_home,
from members
inner join people on members.person_id = people.person_id
inner join victims
    on
        people.record_ref = victims.record_ref
        and {{ current_as_of('victims', 'members.as_of_month') }}
inner join incidents
    on
        victims.incident_ref = incidents.incident_ref
        and {{ current_as_of('incidents', 'members.as_of_month') }}
where {{ within_years('incidents.incident_date', 'members.as_of_month', 2) }}
group by members.as_of_month, members.household_id
