with

versions as (
    select * from {{ source('records', 'council_tax__recovery_stages') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'council_tax') | indent(4) }}
)

select
    record_ref,
    account_ref,
    stage_code,
    stage_date,
    balance,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
