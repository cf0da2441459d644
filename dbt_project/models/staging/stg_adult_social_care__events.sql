with

versions as (
    select * from {{ source('records', 'adult_social_care__events') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'adult_social_care') | indent(4) }}
)

select
    record_ref,
    event_reference as event_ref,
    year_of_birth,
    property_ref,
    event_type,
    event_start_date as event_date,
    event_end_date,
    primary_support_reason,
    accommodation_status,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
