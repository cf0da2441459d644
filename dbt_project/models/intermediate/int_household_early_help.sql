with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

episodes as (
    select * from {{ ref('stg_early_help__episodes') }}
),

contacts as (
    select * from {{ ref('stg_early_help__contacts') }}
),

-- A contact about a family is a row per person: a household counts its days.
household_contacts as (
    select
        members.as_of_month,
        members.household_id,
        count(distinct contacts.contact_date) filter (
            where contacts.contact_date >= members.as_of_month - interval 12 month
        ) as contacts_12m,
        max(contacts.contact_date) as contact_date,
        count(distinct contacts.contact_date) filter (
            where contacts.contact_reason = 'DOMESTIC_ABUSE'
        ) as domestic_abuse_contacts_24m,
        max(contacts.contact_date) filter (
            where contacts.contact_reason = 'DOMESTIC_ABUSE'
        ) as domestic_abuse_contact_date,
    from members
    inner join people on members.person_id = people.person_id
    inner join contacts
        on
            people.record_ref = contacts.record_ref
            and {{ current_as_of('contacts', 'members.as_of_month') }}
    where {{ within_years('contacts.contact_date', 'members.as_of_month', 2) }}
    group by members.as_of_month, members.household_id
),

household_episodes as (
    select
        members.as_of_month,
        members.household_id,
        bool_or(
            episodes.end_date is null or episodes.end_date >= members.as_of_month
        ) as is_open,
        max(episodes.start_date) as episode_date,
        bool_or(episodes.service = 'YOUTH_JUSTICE') as is_youth_justice,
        bool_or(episodes.primary_reason = 'FINANCE_HOUSING') as is_for_housing,
    from members
    inner join people on members.person_id = people.person_id
    inner join episodes
        on
            people.record_ref = episodes.record_ref
            and {{ current_as_of('episodes', 'members.as_of_month') }}
    where {{ within_years('episodes.start_date', 'members.as_of_month', 2) }}
    group by members.as_of_month, members.household_id
)

select
    coalesce(household_contacts.as_of_month, household_episodes.as_of_month) as as_of_month,
    coalesce(household_contacts.household_id, household_episodes.household_id) as household_id,
    household_contacts.contacts_12m,
    household_contacts.contact_date,
    household_contacts.domestic_abuse_contacts_24m,
    household_contacts.domestic_abuse_contact_date,
    household_episodes.is_open,
    household_episodes.episode_date,
    household_episodes.is_youth_justice,
    household_episodes.is_for_housing,
from household_contacts
full join household_episodes
    on
        household_contacts.as_of_month = household_episodes.as_of_month
        and household_contacts.household_id = household_episodes.household_id
