with

members as (
    {{ members_of_months() | indent(4) }}
),

residences as (
    select * from {{ ref('int_residences') }}
),

person_addresses as (
    select
        members.as_of_month,
        members.household_id,
        members.person_id,
        count(distinct residences.property_ref) as addresses,
    from members
    inner join residences
        on
            members.as_of_month = residences.as_of_month
            and members.person_id = residences.person_id
    where
        not members.is_child
        and not residences.is_sighting
        and (
            residences.end_date is null
            or residences.end_date >= members.as_of_month - interval 3 year
        )
    group by members.as_of_month, members.household_id, members.person_id
)

select
    as_of_month,
    household_id,
    max(addresses) as addresses_3y,
from person_addresses
group by as_of_month, household_id
