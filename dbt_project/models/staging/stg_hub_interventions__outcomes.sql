with

versions as (
    select * from {{ source('records', 'hub_interventions__outcomes') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'hub_interventions') | indent(4) }}
)

select
    record_ref,
    outcome_reference as outcome_ref,
    referral_reference as referral_ref,
    recorded_on as recorded_date,
    outcome,
    weekly_gain,
    debt_managed,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
