with

deliveries as (
    select * from {{ source('records', 'deliveries') }}
)

select
    feed,
    delivery_id,
    delivery_date,
    received_date,
    kind,
    row_count,
from deliveries
