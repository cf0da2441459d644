with

versions as (
    select * from {{ source('records', 'antisocial_behaviour__victims') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'antisocial_behaviour') | indent(4) }}
)

select
    record_ref,
    incident_ref,
    year_of_birth,
    property_ref,
    coalesce(repeat_victim = 'Y', false) as is_repeat_victim,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
