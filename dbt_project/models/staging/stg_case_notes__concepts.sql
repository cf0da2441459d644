with

concepts as (
    select * from {{ source('records', 'case_notes__concepts') }}
),

notes as (
    select * from {{ ref('stg_case_notes__notes') }}
)

-- A concept is known as long as the version of the note that it was read from.
select
    concepts.record_ref,
    concepts.note_reference as note_ref,
    concepts.mention,
    concepts.note_date,
    concepts.concept,
    concepts.concept_date,
    concepts.date_source,
    concepts.polarity,
    concepts.confidence,
    notes.delivery_id,
    notes.delivery_date,
    notes.received_date,
    notes.superseded_on,
from concepts
inner join notes
    on
        concepts.record_ref = notes.record_ref
        and concepts.delivery_id = notes.delivery_id
