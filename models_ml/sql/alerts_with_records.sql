-- One row per alert of a use case and month, with the references of every record of the household's members.
with members as (
    select distinct
        as_of_month,
        household_id,
        person_id,
    from intermediate.int_household_members
    where as_of_month = $as_of_month
),

records_of_households as (
    select
        members.household_id,
        list(distinct people.record_ref order by people.record_ref) as record_refs,
    from members
    inner join records.people as people on members.person_id = people.person_id
    group by members.household_id
)

select
    alerts.use_case,
    alerts.as_of_month,
    alerts.rank,
    alerts.score,
    $threshold::double as threshold,
    alerts.reasons::varchar as reasons,
    alerts.model_version,
    records_of_households.record_refs,
from risk.alerts as alerts
inner join records_of_households on alerts.household_id = records_of_households.household_id
where alerts.use_case = $use_case and alerts.as_of_month = $as_of_month
order by alerts.rank
