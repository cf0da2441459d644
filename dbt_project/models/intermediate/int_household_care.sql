with

members as (
    {{ members_of_months() | indent(4) }}
),

person_care as (
    select * from {{ ref('int_person_care') }}
)

select
    members.as_of_month,
    members.household_id,
    sum(person_care.care_events_12m) as care_events_12m,
    max(person_care.last_care_date) as last_care_date,
    sum(person_care.safeguarding_24m) as safeguarding_24m,
    max(person_care.safeguarding_date) as safeguarding_date,
    sum(person_care.domestic_abuse_24m) as domestic_abuse_24m,
    max(person_care.domestic_abuse_date) as domestic_abuse_date,
    sum(person_care.mental_health_24m) as mental_health_24m,
    max(person_care.mental_health_date) as mental_health_date,
    bool_or(
        person_care.last_accommodation_status in (
            'Staying with family / friends as a short-term guest',
            'Rough sleeper / squatting',
            'Refuge',
            'Other temporary accommodation'
        )
    ) as is_unsettled,
    bool_or(person_care.last_accommodation_status = 'Tenant - private landlord') as is_private_tenant,
    bool_or(
        person_care.last_accommodation_status = 'Owner occupier or shared ownership scheme'
    ) as is_owner,
from members
inner join person_care
    on
        members.as_of_month = person_care.as_of_month
        and members.person_id = person_care.person_id
group by members.as_of_month, members.household_id
