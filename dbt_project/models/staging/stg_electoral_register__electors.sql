with

versions as (
    select * from {{ source('records', 'electoral_register__electors') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'electoral_register') | indent(4) }}
)

select
    record_ref,
    year_of_birth,
    property_ref,
    registered_on as start_date,
    removed_on as end_date,
    delivery_id,
    delivery_date,
    received_date,
    replaced_on,
    superseded_on,
from known
