with

versions as (
    select * from {{ source('records', 'children_in_need__cin_details') }}
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
    referralsource as referral_source,
    primaryneedcode as primary_need_code,
    cinclosuredate as closure_date,
    reasonforclosure as closure_reason,
    dateofinitialcpc as initial_conference_date,
    lower(referralnfa) in ('true', '1') as is_no_further_action,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
