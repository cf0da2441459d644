with

versions as (
    select * from {{ source('records', 'housing_tenancies__arrears_actions') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'housing_tenancies') | indent(4) }}
)

select
    record_ref,
    laca_pay_ref as tenancy_ref,
    laca_ara_code as action_code,
    laca_effective_date as action_date,
    laca_balance as balance,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
