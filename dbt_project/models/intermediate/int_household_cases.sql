with

members as (
    {{ members_of_months() | indent(4) }}
),

person_cases as (
    select * from {{ ref('int_person_cases') }}
)

select
    members.as_of_month,
    members.household_id,
    sum(person_cases.cases) as cases,
    sum(person_cases.duties) as duties,
    max(person_cases.last_case_date) as last_case_date,
    max(person_cases.domestic_abuse_case_date) as domestic_abuse_case_date,
    max(person_cases.support_needs) as support_needs,
    max(person_cases.number_of_children) as number_of_children,
    bool_or(person_cases.last_case_accommodation = 'PRIVATE_RENT') as was_private_tenant,
    bool_or(person_cases.has_open_case) as has_open_case,
from members
inner join person_cases
    on
        members.as_of_month = person_cases.as_of_month
        and members.person_id = person_cases.person_id
group by members.as_of_month, members.household_id
