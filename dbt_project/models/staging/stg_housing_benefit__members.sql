with

versions as (
    select * from {{ source('records', 'housing_benefit__members') }}
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
    member_id as member_number,
    case type
        when 1 then 'CLAIMANT'
        when 2 then 'PARTNER'
        when 3 then 'CHILD'
        else 'OTHER'
    end as relationship_code,
    year_of_birth,
    property_ref,
    from_date as start_date,
    to_date as end_date,
    delivery_id,
    delivery_date,
    received_date,
    replaced_on,
    superseded_on,
from known
