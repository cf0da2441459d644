with

versions as (
    select * from {{ source('records', 'housing_tenancies__tenants') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'housing_tenancies') | indent(4) }}
)

select
    record_ref,
    lpar_tcy_alt_ref as tenancy_ref,
    year_of_birth,
    property_ref,
    coalesce(lpar_tin_main_tenant_ind = 'Y', false) as is_main_tenant,
    lpar_hop_hrv_rel_code as relationship_code,
    lpar_tin_start_date as start_date,
    lpar_tin_end_date as end_date,
    ltcy_tty_code as tenancy_type,
    ltcy_notice_given_date as notice_given_date,
    weekly_rent,
    delivery_id,
    delivery_date,
    received_date,
    replaced_on,
    superseded_on,
from known
