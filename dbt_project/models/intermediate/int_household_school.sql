with

members as (
    {{ members_of_months() | indent(4) }}
),

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

pupils as (
    select * from {{ ref('stg_school_census__pupilonroll') }}
),

absences as (
    select * from {{ ref('stg_school_census__termlysessiondetails') }}
),

exclusions as (
    select * from {{ ref('stg_school_census__exclusions') }}
),

-- Half days missed in the term before the newest census.
missed as (
    select
        months.as_of_month,
        absences.pupil_ref,
        sum(absences.sessions) as sessions_missed,
    from months
    inner join absences on {{ current_as_of('absences', 'months.as_of_month') }}
    where absences.term_end_date < months.as_of_month
    group by months.as_of_month, absences.pupil_ref
),

excluded as (
    select
        months.as_of_month,
        exclusions.pupil_ref,
        count(*) as exclusions_12m,
    from months
    inner join exclusions on {{ current_as_of('exclusions', 'months.as_of_month') }}
    where {{ within_years('exclusions.start_date', 'months.as_of_month', 1) }}
    group by months.as_of_month, exclusions.pupil_ref
)

select
    members.as_of_month,
    members.household_id,
    count(distinct members.person_id) as pupils,
    bool_or(pupils.is_fsm_eligible) as is_fsm_eligible,
    max(pupils.census_date) as census_date,
    -- Of a pupil with no row of absence nothing was missed.
    max(coalesce(missed.sessions_missed, 0) / nullif(pupils.sessions_possible, 0)) as absence_rate,
    sum(coalesce(excluded.exclusions_12m, 0)) as exclusions_12m,
from members
inner join people on members.person_id = people.person_id
inner join pupils
    on
        people.record_ref = pupils.record_ref
        and {{ current_as_of('pupils', 'members.as_of_month') }}
left join missed
    on
        members.as_of_month = missed.as_of_month
        and pupils.pupil_ref = missed.pupil_ref
left join excluded
    on
        members.as_of_month = excluded.as_of_month
        and pupils.pupil_ref = excluded.pupil_ref
where pupils.census_date < members.as_of_month
group by members.as_of_month, members.household_id
