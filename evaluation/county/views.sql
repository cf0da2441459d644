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

-- view: household_years
-- One row per household and situation: years lived here in the window, counted in months at whose start it was here.
create table household_years as
select
    hash(hazard.household_id) as cluster,
    hazard.tenure,
    households.type,
    hazard.lone_parent as lone_parent,
    hazard.with_children as with_children,
    count(*) / 12 as years
from truth.hazard
inner join truth.households using (household_id)
where hazard.month < (select end_day from county)
group by all;

-- view: duties
-- One row per duty within the deliveries, with the type that the household had when it came.
create table duties as
select
    hash(events.household_id) as cluster,
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
-- Days on which the county is looked at: its last day, and each half year before while deliveries went on.
create view looks as
select cast(end_day - to_months(cast(6 * looks.range as integer)) - to_days(1) as date) as day
from county, range(0, 40) as looks
where end_day - to_months(cast(6 * looks.range as integer)) - to_days(1) >= first_day;

-- view: residents
-- One row per person and look: who lives here then; age in years.
create table residents as
select
    looks.day,
    hash(stays.household_id) as cluster,
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
create table person_years as
select
    hash(stays.household_id) as cluster,
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
group by all;

-- view: homes_at
-- One row per household and look: the home that it lives in.
create table homes_at as
select
    day,
    cluster,
    household_id,
    any_value(tenure order by start_date desc, uprn) as tenure,
    any_value(uprn order by start_date desc, uprn) as uprn
from residents
group by day, cluster, household_id;

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
create table claims_at as
select
    homes.day,
    homes.cluster,
    homes.tenure,
    coalesce(bool_or(benefits.kind = 'universal_credit'), false) as universal_credit,
    coalesce(bool_or(benefits.kind = 'housing_benefit'), false) as housing_benefit
from homes_at as homes
left join truth.benefits
    on
        homes.household_id = benefits.household_id
        and homes.day between benefits.start_date and coalesce(benefits.end_date, date '2099-12-31')
group by homes.day, homes.cluster, homes.tenure;

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
create table financial_months as
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
create table victim_months as
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

-- view: register_days
-- needs: files.electoral_register__electors
-- Days on which the register is looked at: from its newest full file (which holds all entries of its day) to the end,
-- a quarter apart.
create view register_days as
select cast(full_day + to_months(cast(3 * steps.range as integer)) as date) as day
from (select min(_delivered_on) as full_day from files.electoral_register__electors)
cross join county
cross join range(0, 5) as steps
where full_day + to_months(cast(3 * steps.range as integer)) < county.end_day;

-- view: electors
-- needs: files.electoral_register__electors
-- One row per day and person who is on the register then, with the homes given.
create table electors as
select
    days.day,
    record.person_id,
    list(distinct entries.uprn) as uprns,
    bool_or(entries.uprn is null) as somewhere
from files.electoral_register__electors as entries
inner join truth.records as record
    on record.feed = 'electoral_register' and record.key = entries._key
inner join register_days as days
    on entries.registered_on <= days.day and coalesce(entries.removed_on, date '2099-12-31') > days.day
group by days.day, record.person_id;

-- view: voters
-- needs: files.electoral_register__electors
-- One row per household and day: adults expected to have a vote, and those on the register: anywhere, and at home.
create table voters as
select
    hash(stays.household_id) as cluster,
    stays.tenure,
    sum(1 - coalesce(without_a_vote.share, 0.2)) as votes,
    count(electors.person_id) as on_register,
    count(electors.person_id) filter (electors.somewhere or list_contains(electors.uprns, stays.uprn)) as here
from stays
inner join register_days as days on days.day between stays.start_date and stays.end_date
inner join truth.persons using (person_id)
left join electors on days.day = electors.day and stays.person_id = electors.person_id
left join without_a_vote on persons.origin = without_a_vote.origin
where date_diff('day', persons.date_of_birth, days.day) >= 6575
group by all;

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
-- One row per account of the last whole council tax year (to 31 March): what was due for the days occupied, after the
-- discount for a person alone and council tax reduction, and what of a year's bill was still owed on its last day
-- by those who had not left. Assumed: the bill by band as the feed has it, and that reduction pays 70 % of it.
create view council_tax_year as
with
last_day as (
    select max(day) as day
    from (
        select make_date(cast(years.range as integer), 3, 31) as day
        from range(2000, 2100) as years
    )
    cross join county
    where day >= county.first_day + interval 6 month and day < county.end_day
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
    12 * bills.monthly
    * if(accounts.discount_code = 'SPD', 0.75, 1.0)
    * if(accounts.ctr_ind = 'Y', 0.3, 1.0)
    * greatest(
        0,
        date_diff(
            'day',
            greatest(accounts.occupation_date, last_day.day - interval 1 year),
            least(coalesce(accounts.vacation_date, date '2099-12-31'), last_day.day)
        )
    ) / 365 as bill,
    if(
        stages.stage_code is null or stages.stage_code = 'CLEARED' or accounts.vacation_date <= last_day.day,
        0.0,
        least(stages.balance, 12 * bills.monthly)
    ) as owed
from files.council_tax__accounts as accounts
inner join bills on accounts.band = bills.band
cross join last_day
left join stages on accounts.account_ref = stages.account_ref
where accounts.lead_liab_pos = 1;
