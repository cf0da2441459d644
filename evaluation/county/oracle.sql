-- How much of what comes could be known: one row per household and test month, with the true chance of a duty in the
-- next six months, its rank of the month, and whether it came.
create table oracle_months as
with
last_month as (select end_day - interval 6 month as month from county),
ranked as (
    select
        hash(hazard.household_id) as cluster,
        hazard.household_id,
        hazard.month,
        hazard.probability_6 as chance,
        row_number() over (
            partition by hazard.month order by hazard.probability_6 desc, hazard.household_id
        ) / count(*) over (partition by hazard.month) as place
    from truth.hazard
    cross join county
    -- Months a quarter apart, the last with six months after it among them.
    where
        hazard.month <= (select month from last_month)
        and date_diff('month', hazard.month, (select month from last_month)) % 3 = 0
)
select
    ranked.*,
    exists (
        select 1
        from duties
        where
            duties.household_id = ranked.household_id
            and duties.duty_date >= ranked.month
            and duties.duty_date < ranked.month + interval 6 month
    ) as came
from ranked;
