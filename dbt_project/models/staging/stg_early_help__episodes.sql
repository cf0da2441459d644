with

versions as (
    select * from {{ source('records', 'early_help__episodes') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'early_help') | indent(4) }}
)

select
    record_ref,
    episodereference_ref as episode_ref,
    year_of_birth,
    property_ref,
    personrole = 'CHILD' as is_child,
    service,
    primaryreason as primary_reason,
    referralsource as referral_source,
    startdate as start_date,
    enddate as end_date,
    outcome,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
