with

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

cases as (
    select * from {{ ref('stg_homelessness_cases__cases') }}
),

members as (
    {{ members_of_months() | indent(4) }}
),

-- The latest case of each person.
latest as (
    select
        months.as_of_month,
        people.person_id,
        arg_max(cases.accommodation, (cases.application_date, cases.record_ref)) as accommodation,
        max(cases.application_date) as without_home_since,
    from months
    inner join cases on {{ current_as_of('cases', 'months.as_of_month') }}
    inner join people on cases.record_ref = people.record_ref
    where cases.application_date < months.as_of_month
    group by months.as_of_month, people.person_id
)

-- A case does not outweigh a record of residence: most of those who had no home when they applied live where
-- their records say (docs/households.md).
select
    latest.as_of_month,
    latest.person_id,
    latest.accommodation,
    latest.without_home_since,
from latest
anti join members
    on
        latest.as_of_month = members.as_of_month
        and latest.person_id = members.person_id
where {{ is_no_home('latest.accommodation') }}
