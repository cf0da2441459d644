with

versions as (
    select * from {{ source('records', 'children_in_need__child_protection_plans') }}
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
    cinreferraldate as referral_date,
    cppstartdate as start_date,
    cppenddate as end_date,
    numberofpreviouscpp as plan_number,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
