{{ config(materialized='incremental', incremental_strategy='delete+insert', unique_key='as_of_month') }}

with

residences as (
    select * from {{ ref('int_residences') }}
),

years_of_birth as (
    select
        as_of_month,
        person_id,
        -- Partners disagree at times: the year that most records give, the earliest of equals.
        min(year_of_birth) filter (where year_of_birth is not null) as earliest_year,
        mode(year_of_birth order by year_of_birth) as usual_year,
        bool_or(is_child) as is_child,
        -- Electors are struck off long after they left: the register does not say when.
        max(end_date) filter (
            where not is_sighting and feed != 'electoral_register'
        ) as last_left,
        max(start_date) filter (where not is_sighting) as last_arrived,
    from residences
    group by as_of_month, person_id
),

-- Where a person lives: the latest residence that has not ended; only without one, the latest sighting of the
-- past two years that came after the person last left a home. An elector who left before then was forgotten.
open_residences as (
    select
        residences.*,
        coalesce(years_of_birth.usual_year, years_of_birth.earliest_year) as birth_year,
        coalesce(years_of_birth.is_child, false) as is_known_child,
    from residences
    inner join years_of_birth
        on
            residences.as_of_month = years_of_birth.as_of_month
            and residences.person_id = years_of_birth.person_id
    where
        residences.property_ref is not null
        and (residences.end_date is null or residences.end_date >= residences.as_of_month)
        and (
            residences.feed != 'electoral_register'
            or residences.start_date > coalesce(years_of_birth.last_left, date '1900-01-01')
        )
        and (
            not residences.is_sighting
            or (
                {{ within_years('residences.start_date', 'residences.as_of_month', 2) }}
                and residences.start_date > coalesce(years_of_birth.last_left, date '1900-01-01')
            )
        )
),

homes as (
    select *
    from open_residences
    qualify row_number() over (
        partition by as_of_month, person_id
        order by is_sighting asc, start_date desc, is_lead desc, feed asc, record_ref asc
    ) = 1
),

residents as (
    select
        homes.as_of_month,
        homes.property_ref,
        homes.person_id,
        -- The same home may be known to several partners: the earliest start is when the person came.
        min(open_residences.start_date) as resident_since,
        bool_or(open_residences.is_lead) as is_lead,
        bool_and(open_residences.is_sighting) as is_sighting,
        any_value(homes.birth_year) as year_of_birth,
        -- Children grow up in the records of their parents: the year of birth goes before the word.
        coalesce(
            year(homes.as_of_month) - any_value(homes.birth_year) < 18, any_value(homes.is_known_child)
        ) as is_child,
    from homes
    inner join open_residences
        on
            homes.as_of_month = open_residences.as_of_month
            and homes.person_id = open_residences.person_id
            and homes.property_ref = open_residences.property_ref
    group by homes.as_of_month, homes.property_ref, homes.person_id
),

-- The longest-resident adult anchors the household: others come and go and it stays the same household.
ranked as (
    select
        *,
        row_number() over (
            partition by as_of_month, property_ref
            order by is_child, is_sighting, resident_since, person_id
        ) as anchor_rank,
        row_number() over (
            partition by as_of_month, property_ref
            order by is_child asc, is_sighting asc, is_lead desc, resident_since asc, person_id asc
        ) as head_rank,
    from residents
)

select
    as_of_month,
    md5(
        property_ref || '|' || first_value(person_id) over (
            partition by as_of_month, property_ref
            order by anchor_rank
        )
    ) as household_id,
    property_ref,
    person_id,
    resident_since,
    year_of_birth,
    is_child,
    is_sighting,
    anchor_rank = 1 as is_anchor,
    head_rank = 1 as is_head,
from ranked
