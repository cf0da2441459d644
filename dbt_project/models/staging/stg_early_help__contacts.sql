with

versions as (
    select * from {{ source('records', 'early_help__contacts') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'early_help') | indent(4) }}
)

select
    record_ref,
    contactreference_ref as contact_ref,
    year_of_birth,
    property_ref,
    personrole = 'CHILD' as is_child,
    contactdate as contact_date,
    contactsource as contact_source,
    contactreason as contact_reason,
    decisiondate as decision_date,
    outcome,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
