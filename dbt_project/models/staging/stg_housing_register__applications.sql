with

versions as (
    select * from {{ source('records', 'housing_register__applications') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'housing_register') | indent(4) }}
)

select
    record_ref,
    application_ref,
    year_of_birth,
    property_ref,
    band,
    band_date,
    bedrooms_needed,
    household_size,
    reason,
    application_date,
    status,
    coalesce(status in ('PENDING', 'LIVE', 'SUSPENDED'), false) as is_open,
    status_date,
    closed_reason,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
