with

months as (
    select * from {{ ref('int_as_of_months') }}
),

addresses as (
    select * from {{ ref('stg_address_gazetteer__addresses') }}
),

cases as (
    select * from {{ ref('stg_homelessness_cases__cases') }}
),

statistics as (
    select * from {{ ref('stg_small_area_statistics__areas') }}
),

places as (
    select
        months.as_of_month,
        addresses.property_ref,
        addresses.lsoa_code,
    from months
    inner join addresses on {{ current_as_of('addresses', 'months.as_of_month') }}
),

duties as (
    select
        months.as_of_month,
        cases.property_ref,
        count(*) as duties,
    from months
    inner join cases on {{ current_as_of('cases', 'months.as_of_month') }}
    where
        cases.is_duty_owed
        and {{ within_years('cases.duty_date', 'months.as_of_month', var('history_years')) }}
    group by months.as_of_month, cases.property_ref
),

counted as (
    select
        places.as_of_month,
        places.lsoa_code,
        count(*) as properties,
        coalesce(sum(duties.duties), 0) as duties,
    from places
    left join duties
        on
            places.as_of_month = duties.as_of_month
            and places.property_ref = duties.property_ref
    group by places.as_of_month, places.lsoa_code
),

known_statistics as (
    select
        months.as_of_month,
        statistics.lsoa_code,
        arg_max(statistics.imd_decile, statistics.statistics_year) as imd_decile,
        arg_max(statistics.income_score, statistics.statistics_year) as income_score,
    from months
    inner join statistics on {{ current_as_of('statistics', 'months.as_of_month') }}
    group by months.as_of_month, statistics.lsoa_code
)

select
    counted.as_of_month,
    counted.lsoa_code,
    counted.properties,
    counted.duties,
    -- A small area's own rate is mostly chance: it is drawn towards the district's, as if 500 properties more
    -- had that rate.
    1000.0
    * (
        counted.duties
        + 500.0 * sum(counted.duties) over district / sum(counted.properties) over district
    )
    / (counted.properties + 500.0) as duties_per_1000_properties,
    known_statistics.imd_decile,
    known_statistics.income_score,
from counted
left join known_statistics
    on
        counted.as_of_month = known_statistics.as_of_month
        and counted.lsoa_code = known_statistics.lsoa_code
window district as (partition by counted.as_of_month)
