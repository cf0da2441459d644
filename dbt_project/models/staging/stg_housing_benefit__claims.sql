with

versions as (
    select * from {{ source('records', 'housing_benefit__claims') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'housing_benefit') | indent(4) }}
)

select
    record_ref,
    claim_id_ref as claim_ref,
    house_id as home_number,
    case claim_type_ind
        when 1 then 'PRIVATE_RENT'
        when 2 then 'COUNCIL_RENT'
        when 3 then 'ASSOCIATION_RENT'
        else 'REDUCTION_ONLY'
    end as claim_type,
    case status_ind
        when 1 then 'IN_PAYMENT'
        when 2 then 'SUSPENDED'
        else 'CANCELLED'
    end as status,
    property_ref,
    application_date,
    from_date as start_date,
    to_date as end_date,
    cancel_date as cancelled_date,
    hb_end_reason as end_reason,
    hb_suspend_date as suspended_date,
    coalesce(inc_supp_ind = 1, false) as is_passported,
    weekly_rent,
    lha_amount as weekly_allowance,
    weekly_award,
    coalesce(ben_cap_level_ind > 0, false) as is_capped,
    disc_rent_award as discretionary_payment,
    disc_rent_comm_date as discretionary_start_date,
    disc_rent_cease_date as discretionary_end_date,
    delivery_id,
    delivery_date,
    received_date,
    replaced_on,
    superseded_on,
from known
