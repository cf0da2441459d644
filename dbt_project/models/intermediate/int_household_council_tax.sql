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

accounts as (
    select * from {{ ref('stg_council_tax__accounts') }}
),

recovery as (
    select * from {{ ref('int_council_tax_recovery') }}
),

account_holders as (
    select
        months.as_of_month,
        people.person_id,
        accounts.account_ref,
        accounts.property_ref,
        accounts.start_date,
        accounts.end_date,
        accounts.discount_code,
        accounts.band,
        accounts.has_council_tax_reduction,
    from months
    inner join accounts on {{ current_as_of('accounts', 'months.as_of_month') }}
    inner join people on accounts.record_ref = people.record_ref
    where accounts.start_date < months.as_of_month
),

-- The account of the home.
home_accounts as (
    select
        members.as_of_month,
        members.household_id,
        arg_max(account_holders.band, (account_holders.start_date, account_holders.band)) as band,
        arg_max(
            account_holders.discount_code, (account_holders.start_date, account_holders.discount_code)
        ) as discount_code,
        bool_or(account_holders.has_council_tax_reduction) as has_council_tax_reduction,
    from members
    inner join account_holders
        on
            members.as_of_month = account_holders.as_of_month
            and members.person_id = account_holders.person_id
            and members.property_ref = account_holders.property_ref
    where account_holders.end_date is null or account_holders.end_date >= members.as_of_month
    group by members.as_of_month, members.household_id
),

-- Recovery on any account of the people in it: debts follow people when they move.
household_accounts as (
    select distinct
        members.as_of_month,
        members.household_id,
        account_holders.account_ref,
    from members
    inner join account_holders
        on
            members.as_of_month = account_holders.as_of_month
            and members.person_id = account_holders.person_id
),

household_recovery as (
    select
        household_accounts.as_of_month,
        household_accounts.household_id,
        max(recovery.outstanding_stage_rank) as outstanding_stage_rank,
        max(recovery.highest_stage_rank_12m) as highest_stage_rank_12m,
        max(recovery.last_stage_date) as last_stage_date,
        sum(recovery.outstanding_balance) as outstanding_balance,
        max(recovery.summons_date) as summons_date,
        max(recovery.liability_order_date) as liability_order_date,
        sum(recovery.reminders_12m) as reminders_12m,
    from household_accounts
    inner join recovery
        on
            household_accounts.as_of_month = recovery.as_of_month
            and household_accounts.account_ref = recovery.account_ref
    group by household_accounts.as_of_month, household_accounts.household_id
)

select
    coalesce(home_accounts.as_of_month, household_recovery.as_of_month) as as_of_month,
    coalesce(home_accounts.household_id, household_recovery.household_id) as household_id,
    home_accounts.band,
    home_accounts.discount_code,
    home_accounts.has_council_tax_reduction,
    household_recovery.outstanding_stage_rank,
    household_recovery.highest_stage_rank_12m,
    household_recovery.last_stage_date,
    household_recovery.outstanding_balance,
    household_recovery.summons_date,
    household_recovery.liability_order_date,
    household_recovery.reminders_12m,
from home_accounts
full join household_recovery
    on
        home_accounts.as_of_month = household_recovery.as_of_month
        and home_accounts.household_id = household_recovery.household_id
