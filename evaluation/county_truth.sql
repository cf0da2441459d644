-- What the measures share, made from the truth (schema truth: a view for each file). Run once per report.

-- One row: the county's parameters.
create view county as
select
    cast(first_day as date) as first_day,
    cast("end" as date) as end_day,
    parameters.households as households,
    parameters.months as months
from truth.county;

-- One row per household and month of deliveries, for those who live here at the month's start.
create view household_months as
select
    hazard.*,
    households.type
from truth.hazard
inner join truth.households using (household_id)
where hazard.month < (select end_day from county);

-- One row per duty within the deliveries, with the household's type and tenure.
create view duties as
select
    events.*,
    households.type,
    coalesce(months.tenure, homes.tenure) as tenure
from truth.events
inner join truth.households using (household_id)
left join household_months as months
    on
        events.household_id = months.household_id
        and date_trunc('month', events.duty_date) = months.month
left join (select distinct uprn, tenure from truth.residences) as homes on events.uprn = homes.uprn
where events.duty_date >= (select first_day from county) and events.duty_date < (select end_day from county);

-- One row per person and home; an open end lies in the far future.
create view stays as
select * replace (coalesce(end_date, date '2099-12-31') as end_date)
from truth.residences;

-- Days on which the county is looked at: its last day, and the same a year before while deliveries went on.
create view looks as
select cast(end_day - to_days(1) - to_years(years.range) as date) as day
from county, range(0, 10) as years
where end_day - to_days(1) - to_years(years.range) >= first_day;

-- One row per person and look: who lives here then; age in years.
create table residents as
select
    looks.day,
    stays.household_id,
    stays.person_id,
    stays.uprn,
    stays.tenure,
    stays.role,
    stays.start_date,
    date_diff('day', persons.date_of_birth, looks.day) / 365.25 as age,
    persons.origin
from stays
inner join looks on looks.day between stays.start_date and stays.end_date
inner join truth.persons using (person_id);

-- One row per household and tenure: years lived here by its people in the window, and what happened in them.
create view person_years as
select
    stays.household_id,
    stays.tenure,
    sum(date_diff(
        'day', greatest(stays.start_date, county.first_day), least(stays.end_date + 1, county.end_day)
    )) / 365.25 as person_years,
    count(*) filter (
        stays.start_date >= county.first_day and stays.start_date > persons.date_of_birth
    ) as moves,
    count(*) filter (
        stays.start_date >= county.first_day and stays.start_date = persons.date_of_birth
    ) as births,
    count(*) filter (
        persons.died_on between county.first_day and county.end_day - 1
        and persons.died_on between stays.start_date and stays.end_date
    ) as deaths
from stays
cross join county
inner join truth.persons using (person_id)
where stays.start_date < county.end_day and stays.end_date >= county.first_day
group by stays.household_id, stays.tenure;
