with

versions as (
    select * from {{ source('records', 'address_gazetteer__addresses') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'address_gazetteer') | indent(4) }}
)

select
    record_ref,
    property_ref,
    parent_property_ref,
    property_class,
    lsoa_code,
    ward_code,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
