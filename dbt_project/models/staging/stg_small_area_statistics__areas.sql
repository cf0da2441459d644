with

versions as (
    select * from {{ source('records', 'small_area_statistics__areas') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'small_area_statistics') | indent(4) }}
)

select
    record_ref,
    lsoa_code,
    statistics_year,
    imd_score,
    imd_decile,
    income_score,
    employment_score,
    housing_score,
    population,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
