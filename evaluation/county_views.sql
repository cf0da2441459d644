-- What the measures share, made once per report from the truth (schema truth: a view for each of its files) and from
-- what the partners' systems show at the end (schema files). A block with `needs` is left out where the county has no
-- such table or column.

-- view: county
-- One row: the county's parameters.
create view county as
select
    cast(first_day as date) as first_day,
    cast("end" as date) as end_day,
    parameters.households as households,
    parameters.months as months
from truth.county;

-- view: household_months
-- One row per household and month of deliveries, for those who live here at the month's start.
create view household_months as
select
    hazard.*,
    households.type
from truth.hazard
inner join truth.households using (household_id)
where hazard.month < (select end_day from county);

-- view: duties
-- One row per duty within the deliveries, with the type that the household had when it came.
create view duties as
select
    events.*,
    households.type
from truth.events
inner join truth.households using (household_id)
where events.duty_date >= (select first_day from county) and events.duty_date < (select end_day from county);

-- view: stays
-- One row per person and home; an open end lies in the far future.
create view stays as
select * replace (coalesce(end_date, date '2099-12-31') as end_date)
from truth.residences;

-- view: looks
-- Days on which the county is looked at: its last day, and every third month before while deliveries went on.
create view looks as
select cast(end_day - to_months(cast(3 * looks.range as integer)) - to_days(1) as date) as day
from county, range(0, 40) as looks
where end_day - to_months(cast(3 * looks.range as integer)) - to_days(1) >= first_day;

-- view: residents
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

-- view: person_years
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

-- view: homes_at
-- One row per household and look: the home that it lives in.
create view homes_at as
select
    day,
    household_id,
    any_value(tenure order by start_date desc, uprn) as tenure,
    any_value(uprn order by start_date desc, uprn) as uprn
from residents
group by day, household_id;

-- view: arrears_within_a_year
-- needs: truth.arrears
-- One row per look and arrears episode that ran in the year before it.
create view arrears_within_a_year as
select
    looks.day,
    arrears.household_id,
    arrears.on_rent
from truth.arrears
inner join looks
    on
        arrears.start_date <= looks.day
        and coalesce(arrears.end_date, date '2099-12-31') > looks.day - interval 1 year;

-- view: debts_within_a_year
-- needs: truth.council_tax_debts
-- One row per look and household that fell seriously behind with council tax in the year before it.
create view debts_within_a_year as
select distinct
    looks.day,
    debts.household_id
from truth.council_tax_debts as debts
inner join looks on debts.start_date <= looks.day and debts.start_date > looks.day - interval 1 year
where debts.serious;

-- view: claims_at
-- needs: truth.benefits
-- One row per household and look: whether a claim of either kind is open.
create view claims_at as
select
    homes.day,
    homes.household_id,
    homes.tenure,
    coalesce(bool_or(benefits.kind = 'universal_credit'), false) as universal_credit,
    coalesce(bool_or(benefits.kind = 'housing_benefit'), false) as housing_benefit
from homes_at as homes
left join truth.benefits
    on
        homes.household_id = benefits.household_id
        and homes.day between benefits.start_date and coalesce(benefits.end_date, date '2099-12-31')
group by homes.day, homes.household_id, homes.tenure;

-- view: in_need_at
-- needs: truth.in_need
-- One row per look and child with an open spell of need.
create view in_need_at as
select distinct
    looks.day,
    spells.person_id
from truth.in_need as spells
inner join looks on looks.day between spells.start_date and coalesce(spells.end_date, date '2099-12-31');

-- view: absence_at
-- needs: truth.absence
-- One row per look and child with an open spell of persistent absence.
create view absence_at as
select distinct
    looks.day,
    spells.person_id
from truth.absence as spells
inner join looks on looks.day between spells.start_date and coalesce(spells.end_date, date '2099-12-31');

-- view: financial_months
-- needs: truth.financial_hazard
-- One row per household and test month: its true chance of a liability order or arrears over eight weeks within six
-- months, its place in the order of chances, and whether it came.
create view financial_months as
with ranked as (
    select
        household_id as cluster,
        month,
        probability_6 as chance,
        row_number() over (partition by month order by probability_6 desc, household_id)
        / count(*) over (partition by month) as place
    from truth.financial_hazard
    where month in (select distinct month from oracle_months)
)
select
    ranked.*,
    exists (
        select 1 from truth.financial_events as events
        where
            events.household_id = ranked.cluster
            and events.date >= ranked.month
            and events.date < ranked.month + interval 6 month
    ) as came
from ranked;

-- view: victim_months
-- needs: truth.victim_hazard
-- One row per person who was a victim in the two years before, and test month: as above, of a further incident.
create view victim_months as
with ranked as (
    select
        person_id as cluster,
        month,
        probability_6 as chance,
        row_number() over (partition by month order by probability_6 desc, person_id)
        / count(*) over (partition by month) as place
    from truth.victim_hazard
    where month in (select distinct month from oracle_months)
)
select
    ranked.*,
    exists (
        select 1 from truth.victim_events as events
        where
            events.person_id = ranked.cluster
            and events.date >= ranked.month
            and events.date < ranked.month + interval 6 month
    ) as came
from ranked;

-- view: owed_cases
-- needs: files.homelessness_cases__cases
-- One row per H-CLIC case with a duty, decided within the deliveries, as the newest file has it.
create view owed_cases as
select *
from files.homelessness_cases__cases
where
    duty_owed <> 'NONE'
    and date_of_assessment >= (select first_day from county)
    and date_of_assessment < (select end_day from county);

-- view: account_people
-- needs: files.council_tax__accounts
-- One row per account and liable person: whose it truly is.
create view account_people as
select
    record.person_id,
    accounts.*
from files.council_tax__accounts as accounts
inner join truth.records as record
    on record.feed = 'council_tax' and record."table" = 'accounts' and record.key = accounts._key;

-- view: dead
-- One row per person who died in the window, half a year or more before its end.
create view dead as
select
    persons.person_id,
    persons.died_on
from truth.persons
cross join county
where persons.died_on >= county.first_day and persons.died_on < county.end_day - interval 6 month;

-- view: electors
-- needs: files.electoral_register__electors
-- One row per person who is on the register at the end, with the homes given.
create view electors as
select
    record.person_id,
    list(distinct entries.uprn) as uprns
from files.electoral_register__electors as entries
inner join truth.records as record
    on record.feed = 'electoral_register' and record.key = entries._key
where entries.removed_on is null
group by record.person_id;

-- view: voters
-- needs: files.electoral_register__electors
-- One row per household at the last look: adults expected to have a vote, and those on the register (and there).
create view voters as
select
    residents.household_id,
    residents.tenure,
    sum(1 - coalesce(without_a_vote.share, 0.2)) as votes,
    count(electors.person_id) as on_register,
    count(electors.person_id) filter (list_contains(electors.uprns, residents.uprn)) as here
from residents
left join electors using (person_id)
left join without_a_vote using (origin)
where residents.day = (select max(day) from looks) and residents.age >= 18
group by residents.household_id, residents.tenure;

-- view: recovery_now
-- needs: files.council_tax__recovery_stages
-- One row per account in recovery: its last stage at the end.
create view recovery_now as
select
    account_ref,
    arg_max(stage_code, (stage_date, balance = 0, stage_code)) as stage_code,
    arg_max(balance, (stage_date, balance = 0, stage_code)) as balance
from files.council_tax__recovery_stages
where stage_date < (select end_day from county)
group by account_ref;

-- view: council_tax_debtors
-- needs: files.council_tax__recovery_stages
-- One row per account in debt at the end: past the first reminder, and not cleared.
create view council_tax_debtors as
select *
from recovery_now
where stage_code not in ('REMINDER1', 'CLEARED');

-- view: council_tax_year
-- needs: files.council_tax__recovery_stages
-- One row per account open at the last end of a council tax year (31 March): a year's bill, and what of it was owed.
-- Assumed: the year's bill by band as the council tax feed has it, a quarter less for a person alone.
create view council_tax_year as
with
last_day as (
    select max(day) as day
    from (
        select make_date(cast(years.range as integer), 3, 31) as day
        from range(2000, 2100) as years
    )
    cross join county
    where day >= county.first_day and day < county.end_day
),
bills (band, monthly) as (
    values ('A', 112), ('B', 131), ('C', 150), ('D', 168), ('E', 206), ('F', 243), ('G', 281), ('H', 337)
),
stages as (
    select
        account_ref,
        arg_max(stage_code, (stage_date, balance = 0, stage_code)) as stage_code,
        arg_max(balance, (stage_date, balance = 0, stage_code)) as balance
    from files.council_tax__recovery_stages
    where stage_date <= (select day from last_day)
    group by account_ref
)
select
    accounts.account_ref,
    12 * bills.monthly * if(accounts.discount_code = 'SPD', 0.75, 1.0) as bill,
    if(
        stages.stage_code is null or stages.stage_code = 'CLEARED',
        0.0,
        least(stages.balance, 12 * bills.monthly * if(accounts.discount_code = 'SPD', 0.75, 1.0))
    ) as owed
from files.council_tax__accounts as accounts
inner join bills on accounts.band = bills.band
cross join last_day
left join stages on accounts.account_ref = stages.account_ref
where
    accounts.lead_liab_pos = 1
    and accounts.occupation_date <= last_day.day
    and coalesce(accounts.vacation_date, date '2099-12-31') > last_day.day;
