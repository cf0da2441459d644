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

known as (
    select
        months.as_of_month,
        people.person_id,
        cases.*,
    from months
    inner join cases on {{ current_as_of('cases', 'months.as_of_month') }}
    inner join people on cases.record_ref = people.record_ref
    where {{ within_years('cases.application_date', 'months.as_of_month', var('history_years')) }}
)

select
    as_of_month,
    person_id,
    count(*) as cases,
    count(*) filter (where is_duty_owed) as duties,
    max(application_date) as last_case_date,
    arg_max(main_reason_for_loss, (application_date, record_ref)) as last_case_reason,
    max(application_date) filter (where main_reason_for_loss = 'DOMESTIC_ABUSE') as domestic_abuse_case_date,
    arg_max(support_needs, (application_date, record_ref)) as support_needs,
    arg_max(number_of_children, (application_date, record_ref)) as number_of_children,
    arg_max(accommodation, (application_date, record_ref)) as last_case_accommodation,
    bool_or(application_date >= as_of_month - interval ({{ var('open_case_days') }}) day) as has_open_case,
from known
group by as_of_month, person_id
