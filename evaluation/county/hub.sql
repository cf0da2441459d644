-- One row per stratum of equal true chance and helped or not: household-months, and those with a duty in the six months
-- after. Helped: an offer of the hub accepted in the month. The chance is that of the month's start, before the offer.
create table hub_strata as
with
helped as (
    select distinct household_id, date_trunc('month', offered_date) as month
    from truth.interventions
    where accepted
),
due as (
    select distinct household_id, cast(date_trunc('month', duty_date) as date) as month from duties
),
coming as (
    -- One row per household and month that a duty follows within one to six months.
    select distinct due.household_id, cast(due.month - to_months(cast(ahead.range as integer)) as date) as month
    from due cross join range(1, 7) as ahead
)
select
    cast(floor(ln(months.probability_6) * 4) as int) as stratum,
    helped.household_id is not null as helped,
    count(*) as household_months,
    count(coming.household_id) as duties
from truth.hazard as months
cross join county
left join helped on months.household_id = helped.household_id and months.month = helped.month
left join coming on months.household_id = coming.household_id and months.month = coming.month
left join due on months.household_id = due.household_id and months.month = due.month
where
    due.household_id is null
    and months.probability_6 > 0
    and months.month + interval 7 month <= county.end_day
group by all
order by all;
