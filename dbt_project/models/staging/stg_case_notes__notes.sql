with

versions as (
    select * from {{ source('records', 'case_notes__notes') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'case_notes') | indent(4) }}
)

select
    record_ref,
    note_reference as note_ref,
    note_date,
    note_type,
    team,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
