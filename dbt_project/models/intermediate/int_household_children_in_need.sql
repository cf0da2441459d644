with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

identities as (
    select * from {{ ref('stg_children_in_need__identities') }}
),

episodes as (
    select * from {{ ref('stg_children_in_need__cin_details') }}
),

plans as (
    select * from {{ ref('stg_children_in_need__child_protection_plans') }}
),

children as (
    select distinct
        members.as_of_month,
        members.household_id,
        identities.child_ref,
    from members
    inner join people on members.person_id = people.person_id
    inner join identities
        on
            people.record_ref = identities.record_ref
            and {{ current_as_of('identities', 'members.as_of_month') }}
),

in_need as (
    select
        children.as_of_month,
        children.household_id,
        count(distinct children.child_ref) filter (
            where episodes.closure_date is null or episodes.closure_date >= children.as_of_month
        ) as children_in_need,
        max(episodes.referral_date) as referral_date,
    from children
    inner join episodes
        on
            children.child_ref = episodes.child_ref
            and {{ current_as_of('episodes', 'children.as_of_month') }}
    where
        not episodes.is_no_further_action
        and {{ within_years('episodes.referral_date', 'children.as_of_month', var('history_years')) }}
    group by children.as_of_month, children.household_id
),

on_plan as (
    select
        children.as_of_month,
        children.household_id,
        count(distinct children.child_ref) as children_on_plan,
        max(plans.start_date) as plan_date,
    from children
    inner join plans
        on
            children.child_ref = plans.child_ref
            and {{ current_as_of('plans', 'children.as_of_month') }}
    where
        plans.start_date < children.as_of_month
        and (plans.end_date is null or plans.end_date >= children.as_of_month)
    group by children.as_of_month, children.household_id
)

select
    in_need.as_of_month,
    in_need.household_id,
    in_need.children_in_need,
    in_need.referral_date,
    coalesce(on_plan.children_on_plan, 0) as children_on_plan,
    on_plan.plan_date,
from in_need
left join on_plan
    on
        in_need.as_of_month = on_plan.as_of_month
        and in_need.household_id = on_plan.household_id
