with

members as (
    select members.*
    from {{ ref('int_household_members') }} as members
    inner join {{ ref('int_as_of_months') }} as months on members.as_of_month = months.as_of_month
),

months as (
    select * from {{ ref('int_as_of_months') }}
),

addresses as (
    select * from {{ ref('stg_address_gazetteer__addresses') }}
),

places as (
    select
        months.as_of_month,
        addresses.property_ref,
        min(addresses.property_class) as property_class,
        min(addresses.lsoa_code) as lsoa_code,
        min(addresses.ward_code) as ward_code,
    from months
    inner join addresses on {{ current_as_of('addresses', 'months.as_of_month') }}
    group by months.as_of_month, addresses.property_ref
),

grouped as (
    select
        household_id,
        as_of_month,
        any_value(property_ref) as property_ref,
        -- Somebody only seen here may be one of the known adults under another id: they count where no one
        -- else does.
        greatest(
            count(*) filter (where not is_child and not is_sighting),
            max(if(is_child, 0, 1))
        ) as adult_count,
        count(*) filter (where is_child) as known_child_count,
        any_value(resident_since) filter (where is_head) as resident_since,
        any_value(year_of_birth) filter (where is_head) as head_year_of_birth,
        bool_and(is_sighting) as is_seen_only,
    from members
    group by household_id, as_of_month
)

select
    grouped.household_id::varchar as household_id,
    grouped.as_of_month::date as as_of_month,
    grouped.property_ref::varchar as property_ref,
    places.property_class::varchar as property_class,
    places.lsoa_code::varchar as lsoa_code,
    places.ward_code::varchar as ward_code,
    grouped.adult_count::integer as adult_count,
    grouped.known_child_count::integer as known_child_count,
    grouped.resident_since::date as resident_since,
    grouped.head_year_of_birth::integer as head_year_of_birth,
    grouped.is_seen_only::boolean as is_seen_only,
from grouped
left join places
    on
        grouped.as_of_month = places.as_of_month
        and grouped.property_ref = places.property_ref
where grouped.adult_count > 0
