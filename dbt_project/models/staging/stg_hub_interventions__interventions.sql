with

versions as (
    select * from {{ source('records', 'hub_interventions__interventions') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'hub_interventions') | indent(4) }}
)

select
    record_ref,
    referral_reference as referral_ref,
    referral_source,
    year_of_birth,
    property_ref,
    support_kind,
    offered_on as offered_date,
    accepted as is_accepted,
    accepted_on as accepted_date,
    ended_on as ended_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
