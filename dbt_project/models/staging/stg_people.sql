with

people as (
    select * from {{ source('records', 'people') }}
)

select
    record_ref,
    person_id,
from people
