with

members as (
    {{ members_of_months() | indent(4) }}
),

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

claims as (
    select * from {{ ref('stg_housing_benefit__claims') }}
),

claim_members as (
    select * from {{ ref('stg_housing_benefit__members') }}
),

-- Claims in force on the first of the month.
known_claims as (
    select
        months.as_of_month,
        claims.*,
    from months
    inner join claims on {{ current_as_of('claims', 'months.as_of_month') }}
    where
        claims.start_date < months.as_of_month
        and (claims.end_date is null or claims.end_date >= months.as_of_month)
        and (claims.cancelled_date is null or claims.cancelled_date >= months.as_of_month)
        and claims.status != 'CANCELLED'
),

-- A claim is its claimant's and partner's: it goes with them.
claimants as (
    select
        months.as_of_month,
        people.person_id,
        claim_members.claim_ref,
        claim_members.home_number,
    from months
    inner join claim_members on {{ current_as_of('claim_members', 'months.as_of_month') }}
    inner join people on claim_members.record_ref = people.record_ref
    where
        claim_members.relationship_code in ('CLAIMANT', 'PARTNER')
        and claim_members.start_date < months.as_of_month
        and (claim_members.end_date is null or claim_members.end_date >= months.as_of_month)
)

select
    members.as_of_month,
    members.household_id,
    bool_or(known_claims.claim_type != 'REDUCTION_ONLY') as is_in_payment,
    bool_or(known_claims.claim_type = 'REDUCTION_ONLY') as is_reduction_only,
    bool_or(known_claims.claim_type = 'PRIVATE_RENT') as is_private_tenant,
    bool_or(known_claims.is_capped) as is_capped,
    bool_or(known_claims.status = 'SUSPENDED') as is_suspended,
    max(known_claims.weekly_rent) filter (
        where known_claims.claim_type = 'PRIVATE_RENT'
    ) as weekly_rent,
    max(known_claims.weekly_rent - known_claims.weekly_allowance) as rent_over_allowance,
    bool_or(
        known_claims.discretionary_start_date < members.as_of_month
        and (
            known_claims.discretionary_end_date is null
            or known_claims.discretionary_end_date >= members.as_of_month
        )
    ) as has_discretionary_payment,
    max(known_claims.application_date) filter (
        where known_claims.application_date < members.as_of_month
    ) as application_date,
from members
inner join claimants
    on
        members.as_of_month = claimants.as_of_month
        and members.person_id = claimants.person_id
inner join known_claims
    on
        claimants.as_of_month = known_claims.as_of_month
        and claimants.claim_ref = known_claims.claim_ref
        and claimants.home_number = known_claims.home_number
group by members.as_of_month, members.household_id
