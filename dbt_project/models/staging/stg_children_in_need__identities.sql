with

versions as (
    select * from {{ source('records', 'children_in_need__identities') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'children_in_need') | indent(4) }}
)

select
    record_ref,
    lachildid_ref as child_ref,
    year_of_birth,
    property_ref,
    addressstartdate as address_start_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
