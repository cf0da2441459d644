with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

electors as (
    select * from {{ ref('stg_electoral_register__electors') }}
)

select
    members.as_of_month,
    members.household_id,
    count(distinct members.person_id) as electors,
    min(electors.start_date) as registered_since,
from members
inner join people on members.person_id = people.person_id
inner join electors
    on
        people.record_ref = electors.record_ref
        and members.property_ref = electors.property_ref
        and {{ current_as_of('electors', 'members.as_of_month') }}
where
    electors.start_date < members.as_of_month
    and (electors.end_date is null or electors.end_date >= members.as_of_month)
group by members.as_of_month, members.household_id
