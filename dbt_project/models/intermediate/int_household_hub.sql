with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

interventions as (
    select * from {{ ref('stg_hub_interventions__interventions') }}
)

select
    members.as_of_month,
    members.household_id,
    count(distinct interventions.referral_ref) as offers_24m,
    max(interventions.offered_date) as offered_date,
    bool_or(interventions.is_accepted) as is_accepted,
    max(interventions.accepted_date) filter (
        where interventions.accepted_date < members.as_of_month
    ) as accepted_date,
    bool_or(
        interventions.accepted_date < members.as_of_month
        and (
            interventions.ended_date is null
            or interventions.ended_date >= members.as_of_month
        )
    ) as is_helped_now,
from members
inner join people on members.person_id = people.person_id
inner join interventions
    on
        people.record_ref = interventions.record_ref
        and {{ current_as_of('interventions', 'members.as_of_month') }}
where {{ within_years('interventions.offered_date', 'members.as_of_month', 2) }}
group by members.as_of_month, members.household_id
