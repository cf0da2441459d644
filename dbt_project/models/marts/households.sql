with

members as (
    {{ members_of_months() | indent(4) }}
),

person_quality as (
    select * from {{ ref('stg_person_quality') }}
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
        members.household_id,
        members.as_of_month,
        any_value(members.property_ref) as property_ref,
        -- Somebody only seen here may be one of the known adults under another id: they count where no one
        -- else does.
        greatest(
            count(*) filter (where not members.is_child and not members.is_sighting),
            max(if(members.is_child, 0, 1))
        ) as adult_count,
        count(*) filter (where members.is_child) as known_child_count,
        any_value(members.resident_since) filter (where members.is_head) as resident_since,
        any_value(members.year_of_birth) filter (where members.is_head) as head_year_of_birth,
        bool_and(members.is_sighting) as is_seen_only,
        count(*) filter (where members.is_sighting) as seen_only_count,
        -- Of the adults: children are placed by what their school says.
        min(members.confidence) filter (where not members.is_child) as least_stay_confidence,
        avg(members.confidence) filter (where not members.is_child) as mean_stay_confidence,
        min(person_quality.confidence) filter (where not members.is_child) as least_linkage_confidence,
        min(person_quality.weakest_link) filter (where not members.is_child) as weakest_link,
    from members
    left join person_quality on members.person_id = person_quality.person_id
    group by members.household_id, members.as_of_month
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
    grouped.seen_only_count::integer as seen_only_count,
    grouped.least_stay_confidence::double as least_stay_confidence,
    grouped.mean_stay_confidence::double as mean_stay_confidence,
    grouped.least_linkage_confidence::double as least_linkage_confidence,
    grouped.weakest_link::double as weakest_link,
    -- Share of such households whose adults are exactly right that night, on the synthetic county:
    -- docs/households.md.
    case
        when grouped.least_stay_confidence >= 0.99 then 0.98
        when grouped.least_stay_confidence >= 0.98 then 0.96
        when grouped.least_stay_confidence >= 0.95 then 0.85
        else 0.64
    end::double as confidence,
from grouped
left join places
    on
        grouped.as_of_month = places.as_of_month
        and grouped.property_ref = places.property_ref
where grouped.adult_count > 0
