with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

applications as (
    select * from {{ ref('stg_housing_register__applications') }}
)

select
    members.as_of_month,
    members.household_id,
    min(applications.band) as band,
    max(applications.application_date) as application_date,
    bool_or(applications.reason in ('NOTICE_TO_QUIT', 'HOMELESS', 'UNAFFORDABLE')) as is_home_at_risk,
    max(applications.household_size) as household_size,
from members
inner join people on members.person_id = people.person_id
inner join applications
    on
        people.record_ref = applications.record_ref
        and {{ current_as_of('applications', 'members.as_of_month') }}
where applications.is_open and applications.application_date < members.as_of_month
group by members.as_of_month, members.household_id
