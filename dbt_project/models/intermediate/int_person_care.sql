with

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

care_events as (
    select * from {{ ref('stg_adult_social_care__events') }}
),

known as (
    select
        months.as_of_month,
        people.person_id,
        care_events.*,
    from months
    inner join care_events on {{ current_as_of('care_events', 'months.as_of_month') }}
    inner join people on care_events.record_ref = people.record_ref
    where {{ within_years('care_events.event_date', 'months.as_of_month', 2) }}
)

select
    as_of_month,
    person_id,
    count(*) filter (where event_date >= as_of_month - interval 12 month) as care_events_12m,
    max(event_date) as last_care_date,
    count(*) filter (where event_type = 'Safeguarding') as safeguarding_24m,
    max(event_date) filter (where event_type = 'Safeguarding') as safeguarding_date,
    count(*) filter (where primary_support_reason = 'Domestic Abuse') as domestic_abuse_24m,
    max(event_date) filter (where primary_support_reason = 'Domestic Abuse') as domestic_abuse_date,
    count(*) filter (where primary_support_reason = 'Mental Health') as mental_health_24m,
    max(event_date) filter (where primary_support_reason = 'Mental Health') as mental_health_date,
    arg_max(accommodation_status, (event_date, record_ref)) as last_accommodation_status,
from known
group by as_of_month, person_id
