with

months as (
    select * from {{ ref('int_as_of_months') }}
),

arrears_actions as (
    select * from {{ ref('stg_housing_tenancies__arrears_actions') }}
),

known as (
    select
        months.as_of_month,
        arrears_actions.tenancy_ref,
        arrears_actions.action_code,
        arrears_actions.action_date,
        arrears_actions.balance,
    from months
    inner join arrears_actions on {{ current_as_of('arrears_actions', 'months.as_of_month') }}
    where {{ within_years('arrears_actions.action_date', 'months.as_of_month', var('history_years')) }}
),

-- An account is clear when it says so, or when its balance is not above nothing.
cleared as (
    select
        as_of_month,
        tenancy_ref,
        max(action_date) filter (where action_code = 'COUT' or balance <= 0) as cleared_date,
    from known
    group by as_of_month, tenancy_ref
),

measured as (
    select
        known.as_of_month,
        known.tenancy_ref,
        max(known.action_date) as last_action_date,
        min(known.action_date) filter (
            where
            known.balance > 0
            and known.action_code != 'COUT'
            and known.action_date > coalesce(cleared.cleared_date, date '1900-01-01')
        ) as arrears_since,
        -- Of two actions on one day the higher balance counts, so that the order of rows decides nothing.
        arg_max(known.balance, (known.action_date, known.balance)) filter (
            where known.action_code != 'COUT'
        ) as last_balance,
        arg_max(known.balance, (known.action_date, known.balance)) filter (
            where known.action_date < known.as_of_month - interval 13 week
        ) as balance_13_weeks_before,
        max(known.balance) filter (
            where known.action_date >= known.as_of_month - interval 12 month
        ) as highest_balance_12m,
        max(known.action_date) filter (where known.action_code = 'NTQ') as notice_to_quit_date,
        max(known.action_date) filter (where known.action_code in ('CORT', 'POP')) as court_date,
        count(*) filter (
            where
            known.action_code not in ('STAT', 'COUT', 'NFA')
            and known.action_date >= known.as_of_month - interval 12 month
        ) as letters_12m,
    from known
    inner join cleared
        on
            known.as_of_month = cleared.as_of_month
            and known.tenancy_ref = cleared.tenancy_ref
    group by known.as_of_month, known.tenancy_ref
)

select
    as_of_month,
    tenancy_ref,
    last_action_date,
    arrears_since,
    if(arrears_since is null, 0, greatest(last_balance, 0)) as arrears_balance,
    if(arrears_since is null, 0, date_diff('day', arrears_since, as_of_month) / 7.0) as weeks_in_arrears,
    if(arrears_since is null, 0, greatest(last_balance, 0))
    - greatest(coalesce(balance_13_weeks_before, 0), 0) as arrears_change_13w,
    greatest(coalesce(highest_balance_12m, 0), 0) as highest_balance_12m,
    notice_to_quit_date,
    court_date,
    letters_12m,
from measured
