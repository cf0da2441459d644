{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='as_of_month',
        on_schema_change='append_new_columns',
    )
}}

with

residences as (
    select * from {{ ref('int_residences') }}
),

stays as (
    select * from {{ ref('int_stays') }}
),

years_of_birth as (
    select
        as_of_month,
        person_id,
        year_of_birth,
        count(*) as records,
        bool_or(is_child) as is_known_child,
        -- Until they are 18, the register has electors as attainers.
        bool_or(feed = 'electoral_register' and is_child and coalesce(end_date >= as_of_month, true))
            as is_attainer,
        bool_or(feed = 'electoral_register' and not is_child and coalesce(end_date >= as_of_month, true))
            as is_elector,
    from residences
    group by as_of_month, person_id, year_of_birth
),

ages as (
    select
        as_of_month,
        person_id,
        -- Partners disagree at times: the year that most records give, the earliest of equals.
        arg_max(year_of_birth, 10000 * records - year_of_birth) as year_of_birth,
        bool_or(is_known_child) as is_known_child,
        bool_or(is_attainer) as is_attainer,
        bool_or(is_elector) as is_elector,
    from years_of_birth
    group by as_of_month, person_id
),

-- Where a person lives: where the latest record or entry places them; only without one, where they were seen
-- last.
homes as (
    select *
    from stays
    where placed_by is not null
    qualify row_number() over (
        partition by as_of_month, person_id
        order by placed_by = 'sighting' asc, placed_on desc, is_lead desc, property_ref asc
    ) = 1
),

residents as (
    select
        homes.as_of_month,
        homes.property_ref,
        homes.person_id,
        homes.started_on as resident_since,
        homes.is_lead,
        homes.placed_by = 'sighting' as is_sighting,
        homes.placed_by,
        homes.confidence,
        homes.is_temporary,
        ages.year_of_birth,
        year(homes.as_of_month) - ages.year_of_birth as age_this_year,
        -- Children grow up in the records of their parents: the year of birth goes before the word. The day
        -- in the year is known of electors alone; of the others, half have had it by July.
        case
            when age_this_year != 18 then age_this_year < 18
            when age_this_year is null then coalesce(ages.is_known_child, false)
            when ages.is_attainer then true
            when ages.is_elector then false
            else month(homes.as_of_month) < 7
        end as is_child,
    from homes
    inner join ages
        on
            homes.as_of_month = ages.as_of_month
            and homes.person_id = ages.person_id
),

-- The longest-resident adult anchors the household: others come and go and it stays the same household.
ranked as (
    select
        *,
        row_number() over (
            partition by as_of_month, property_ref
            order by is_child, is_sighting, resident_since, person_id
        ) as anchor_rank,
        first_value(person_id) over (
            partition by as_of_month, property_ref
            order by is_child, is_sighting, resident_since, person_id
        ) as anchor_id,
        row_number() over (
            partition by as_of_month, property_ref
            order by is_child asc, is_sighting asc, is_lead desc, resident_since asc, person_id asc
        ) as head_rank,
    from residents
)

select
    as_of_month,
    md5(property_ref || '|' || anchor_id) as household_id,
    property_ref,
    person_id,
    resident_since,
    year_of_birth,
    is_child,
    is_sighting,
    anchor_rank = 1 as is_anchor,
    head_rank = 1 as is_head,
    placed_by,
    confidence,
    is_temporary,
from ranked
