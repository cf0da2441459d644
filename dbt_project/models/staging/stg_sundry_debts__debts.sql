with

versions as (
    select * from {{ source('records', 'sundry_debts__debts') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'sundry_debts') | indent(4) }}
)

select
    record_ref,
    invoice_no_ref as invoice_ref,
    debt_type,
    property_ref,
    invoice_date,
    original_amount,
    outstanding_amount,
    coalesce(status in ('O', 'A'), false) as is_outstanding,
    status,
    recovery_stage,
    stage_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
