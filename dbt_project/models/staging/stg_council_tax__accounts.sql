with

versions as (
    select * from {{ source('records', 'council_tax__accounts') }}
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
    lead_liab_pos as liability_position,
    year_of_birth,
    property_ref,
    occupation_date as start_date,
    vacation_date as end_date,
    discount_code,
    band,
    coalesce(ctr_ind = 'Y', false) as has_council_tax_reduction,
    delivery_id,
    delivery_date,
    received_date,
    replaced_on,
    superseded_on,
from known
