-- Households against a county's truth. Given: truth.residences, truth.persons, truth.properties (uprn, property_ref),
-- truth.of_record (record_ref, person_id), and stays, residences, members, people of the pipeline.

-- view: months
create table months as select distinct as_of_month as month from members;

-- view: true_adults
-- One row per month and adult who truly lives at a property on the eve of the month's first day.
create table true_adults as
select
    months.month,
    residences.household_id,
    residences.tenure,
    residences.role,
    properties.property_ref,
    residences.person_id
from truth.residences
inner join months
    on
        residences.start_date < months.month
        and coalesce(residences.end_date >= months.month, true)
inner join truth.persons using (person_id)
inner join truth.properties on cast(residences.uprn as varchar) = properties.uprn
where persons.date_of_birth <= months.month - interval 18 year;

-- view: true_person
-- Whom each person of the pipeline stands for: the one that most of their records are of.
create table true_person as
select
    people.person_id,
    mode(of_record.person_id order by of_record.person_id) as true_id
from people
inner join truth.of_record using (record_ref)
group by people.person_id;

-- view: ages
create table ages as
select
    person_id,
    arg_max(year_of_birth, 10000 * records - year_of_birth) as year_of_birth,
    bool_or(is_child) as is_child
from (
    select
        person_id,
        year_of_birth,
        count(*) as records,
        bool_or(is_child) as is_child
    from residences
    where as_of_month = (select max(as_of_month) from residences)
    group by person_id, year_of_birth
)
group by person_id;

-- view: found_that_night
-- Adults at their homes as known on the night of each month.
create table found_that_night as
select distinct
    members.as_of_month as month,
    members.property_ref,
    true_person.true_id as person_id
from members
inner join true_person using (person_id)
where not members.is_child;

-- view: found_later
-- Adults at their homes in each month as known `lag` months later; lag 999: as known in the latest month.
create table found_later as
with asked as (
    select
        months.month,
        lags.lag,
        if(
            lags.lag = 999,
            (select max(as_of_month) from stays),
            cast(months.month + to_months(cast(lags.lag as integer)) as date)
        ) as known_by
    from months
    cross join (select unnest([1, 3, 6, 12, 999]) as lag) as lags
),

homes as (
    select
        asked.month,
        asked.lag,
        stays.person_id,
        stays.property_ref
    from asked
    inner join stays on asked.known_by = stays.as_of_month
    where
        stays.started_on < asked.month
        and if(stays.placed_by is null, stays.ended_on >= asked.month, true)
    qualify row_number() over (
        partition by asked.month, asked.lag, stays.person_id
        order by stays.placed_by = 'sighting', stays.started_on desc, stays.property_ref
    ) = 1
)

select distinct
    homes.month,
    homes.lag,
    homes.property_ref,
    true_person.true_id as person_id
from homes
inner join true_person using (person_id)
inner join ages using (person_id)
where
    case
        when ages.year_of_birth is null then not ages.is_child
        when year(homes.month) - ages.year_of_birth = 18 then month(homes.month) >= 7
        else year(homes.month) - ages.year_of_birth > 18
    end;

-- view: named_here
-- The first month by which a record that we had names the person at the property.
create table named_here as
select
    true_person.true_id as person_id,
    residences.property_ref,
    min(residences.as_of_month) as month
from residences
inner join true_person using (person_id)
group by all;

-- query: figures
-- One row per lag (null: that night): true household-months, and how many have exactly the true adults.
with found as (
    select month, null::bigint as lag, property_ref, person_id from found_that_night
    union all
    select month, lag, property_ref, person_id from found_later
),

asked as (
    select lag, month from found group by lag, month
),

truth_by_home as (
    select
        asked.lag,
        true_adults.month,
        true_adults.property_ref,
        count(*) as adults,
        count(found.person_id) as hits
    from asked
    inner join true_adults on asked.month = true_adults.month
    left join found
        on
            asked.lag is not distinct from found.lag
            and true_adults.month = found.month
            and true_adults.property_ref = found.property_ref
            and true_adults.person_id = found.person_id
    group by all
),

found_by_home as (
    select lag, month, property_ref, count(*) as adults from found group by all
)

select
    coalesce(truth_by_home.lag, 0) as lag,
    count(truth_by_home.adults) as household_months,
    count(*) filter (
        truth_by_home.hits = truth_by_home.adults and found_by_home.adults = truth_by_home.adults
    ) as exact,
    count(*) filter (
        truth_by_home.hits < truth_by_home.adults
        and coalesce(found_by_home.adults, 0) = truth_by_home.hits
    ) as with_missing,
    count(*) filter (
        truth_by_home.hits = truth_by_home.adults and found_by_home.adults > truth_by_home.adults
    ) as with_strangers,
    count(*) filter (
        truth_by_home.hits < truth_by_home.adults and found_by_home.adults > truth_by_home.hits
    ) as with_both,
    sum(truth_by_home.adults)::bigint as adult_months,
    sum(truth_by_home.hits)::bigint as adult_months_found,
    sum(found_by_home.adults)::bigint as adult_months_placed
from truth_by_home
left join found_by_home
    on
        truth_by_home.lag is not distinct from found_by_home.lag
        and truth_by_home.month = found_by_home.month
        and truth_by_home.property_ref = found_by_home.property_ref
group by truth_by_home.lag
order by 1;

-- query: ceiling
-- Household-months all of whose adults any record names: anywhere, at this home in the end, at this home by that night.
with adults as (
    select
        true_adults.month,
        true_adults.property_ref,
        bool_and(true_adults.person_id in (select person_id from truth.of_record)) as anywhere,
        bool_and(named_here.month is not null) as here_in_the_end,
        bool_and(coalesce(named_here.month <= true_adults.month, false)) as here_that_night
    from true_adults
    left join named_here using (person_id, property_ref)
    group by true_adults.month, true_adults.property_ref
)

select
    avg(anywhere::integer) as anywhere,
    avg(here_in_the_end::integer) as here_in_the_end,
    avg(here_that_night::integer) as here_that_night
from adults;

-- query: missing
-- Adult-months not found that night, by what is known of the person.
select
    true_adults.role,
    case
        when true_adults.person_id not in (select person_id from truth.of_record) then 'in no feed'
        when named_here.month is null then 'no record at this home'
        when named_here.month > true_adults.month then 'record at this home came later'
        else 'record at this home, judged otherwise'
    end as cause,
    count(*) as adult_months,
    count(distinct true_adults.person_id) as people
from true_adults
anti join found_that_night using (month, property_ref, person_id)
left join named_here using (person_id, property_ref)
group by all
order by adult_months desc;

-- query: strangers
-- Adult-months at homes of others, or where nobody lives, that night, by what is true of the person.
select
    case
        when persons.died_on < found.month then 'dead'
        when persons.date_of_birth > found.month - interval 18 year then 'not yet 18'
        when true_adults.person_id is not null then 'lives at another home here'
        else 'lives elsewhere'
    end as cause,
    found.property_ref in (
        select homes.property_ref from true_adults as homes where homes.month = found.month
    ) as is_home_of_others,
    count(*) as adult_months,
    count(distinct found.person_id) as people
from found_that_night as found
anti join true_adults as right_ones using (month, property_ref, person_id)
inner join truth.persons using (person_id)
left join true_adults on found.month = true_adults.month and found.person_id = true_adults.person_id
group by all
order by adult_months desc;

-- query: by_tenure
with adults as (
    select
        true_adults.month,
        true_adults.property_ref,
        true_adults.tenure,
        count(*) as adults,
        count(found.person_id) as hits
    from true_adults
    left join found_that_night as found using (month, property_ref, person_id)
    group by all
),

found_by_home as (
    select month, property_ref, count(*) as found_adults from found_that_night group by all
)

select
    tenure,
    count(*) as household_months,
    avg((hits = adults and coalesce(found_adults, 0) = adults)::integer) as exact
from adults
left join found_by_home using (month, property_ref)
group by tenure
order by tenure;

-- query: confidence
-- How often a placing of each confidence is right.
select
    members.placed_by,
    members.confidence::double as confidence,
    count(*) as placings,
    avg((true_adults.person_id is not null)::integer) as right
from members
inner join true_person using (person_id)
left join true_adults
    on
        members.as_of_month = true_adults.month
        and members.property_ref = true_adults.property_ref
        and true_person.true_id = true_adults.person_id
where not members.is_child and members.placed_by is not null
group by all
order by 2 desc, 1;

-- query: household_confidence
-- How often exactly the adults of a home were found that night, by the least confidence of those found there.
with truth_by_home as (
    select month, property_ref, list_sort(list(distinct person_id)) as adults
    from true_adults
    group by all
),

found_by_home as (
    select
        members.as_of_month as month,
        members.property_ref,
        min(members.confidence)::double as least_stay_confidence,
        list_sort(list(distinct true_person.true_id)) as adults
    from members
    inner join true_person using (person_id)
    where not members.is_child
    group by all
)

select
    found_by_home.least_stay_confidence,
    count(*) as household_months,
    avg(coalesce(found_by_home.adults = truth_by_home.adults, false)::integer) as right
from found_by_home
left join truth_by_home using (month, property_ref)
group by all
order by 1 desc;

-- query: relationships
-- How often a hint is right: the person lives there and is that, and to somebody who lives there with them.
with residents as (
    select
        residences.*,
        properties.property_ref
    from truth.residences
    inner join truth.properties on cast(residences.uprn as varchar) = properties.uprn
),

named as (
    select
        relationships.*,
        members.property_ref,
        people.true_id,
        named_people.true_id as to_true_id
    from relationships
    inner join members using (as_of_month, person_id)
    inner join true_person as people on relationships.person_id = people.person_id
    left join true_person as named_people on relationships.to_person_id = named_people.person_id
)

select
    named.relationship,
    named.feed,
    named.to_person_id is not null as names_somebody,
    named.confidence::double as confidence,
    count(*) as hints,
    avg(
        coalesce(
            case named.relationship
                when 'partner' then resident.role in ('partner', 'lead')
                when 'child' then resident.role = 'child'
                when 'dependent_child' then resident.role in ('child', 'grown_child')
                when 'grown_child' then resident.role in ('child', 'grown_child')
                when 'non_dependant' then resident.role in ('sharer', 'child', 'grown_child')
                when 'occupier' then resident.role in ('sharer', 'child', 'grown_child')
                else resident.role in ('lead', 'partner', 'sharer')
            end
            and (
                named.to_person_id is null
                or (
                    resident.household_id = to_resident.household_id
                    and to_resident.role in ('lead', 'partner')
                )
            ),
            false
        )::integer
    ) as right
from named
left join residents as resident
    on
        named.true_id = resident.person_id
        and named.property_ref = resident.property_ref
        and resident.start_date < named.as_of_month
        and coalesce(resident.end_date >= named.as_of_month, true)
left join residents as to_resident
    on
        named.to_true_id = to_resident.person_id
        and named.property_ref = to_resident.property_ref
        and to_resident.start_date < named.as_of_month
        and coalesce(to_resident.end_date >= named.as_of_month, true)
group by all
order by 1, 2, 3;
