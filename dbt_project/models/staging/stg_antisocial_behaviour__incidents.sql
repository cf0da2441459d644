with

versions as (
    select * from {{ source('records', 'antisocial_behaviour__incidents') }}
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
    incident_date,
    reported_date,
    category,
    place_type,
    reported_by,
    risk_score,
    status,
    closed_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
