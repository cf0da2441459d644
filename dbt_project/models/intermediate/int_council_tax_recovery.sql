with

months as (
    select * from {{ ref('int_as_of_months') }}
),

recovery_stages as (
    select * from {{ ref('stg_council_tax__recovery_stages') }}
),

known as (
    select
        months.as_of_month,
        recovery_stages.account_ref,
        recovery_stages.stage_code,
        recovery_stages.stage_date,
        recovery_stages.balance,
        {{ recovery_rank('recovery_stages.stage_code') }} as stage_rank,
        max(if(recovery_stages.stage_code = 'CLEARED', recovery_stages.stage_date, null)) over (
            partition by months.as_of_month, recovery_stages.account_ref
        ) as cleared_date,
    from months
    inner join recovery_stages on {{ current_as_of('recovery_stages', 'months.as_of_month') }}
    where {{ within_years('recovery_stages.stage_date', 'months.as_of_month', var('history_years')) }}
),

marked as (
    select
        *,
        stage_code != 'CLEARED' and stage_date > coalesce(cleared_date, date '1900-01-01') as is_outstanding,
        stage_date >= as_of_month - interval 12 month as is_recent,
    from known
)

select
    as_of_month,
    account_ref,
    coalesce(max(stage_rank) filter (where is_outstanding), 0) as outstanding_stage_rank,
    coalesce(max(stage_rank) filter (where is_recent), 0) as highest_stage_rank_12m,
    max(stage_date) filter (where stage_rank > 0) as last_stage_date,
    arg_max(stage_code, (stage_date, stage_rank, stage_code)) filter (
        where stage_rank > 0
    ) as last_stage_code,
    coalesce(arg_max(balance, (stage_date, stage_rank, balance)) filter (where is_outstanding), 0)
        as outstanding_balance,
    max(stage_date) filter (where stage_code = 'SUMMONS') as summons_date,
    max(stage_date) filter (where stage_code in ('LIABILITY_ORDER', 'ENFORCEMENT')) as liability_order_date,
    count(*) filter (where stage_code in ('REMINDER1', 'REMINDER2', 'FINAL') and is_recent) as reminders_12m,
from marked
group by as_of_month, account_ref
