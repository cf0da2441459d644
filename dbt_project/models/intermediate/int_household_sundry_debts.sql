with

members as (
    {{ members_of_months() | indent(4) }}
),

people as (
    select * from {{ ref('stg_people') }}
),

debts as (
    select * from {{ ref('stg_sundry_debts__debts') }}
)

select
    members.as_of_month,
    members.household_id,
    sum(debts.outstanding_amount) as balance,
    count(*) as debts,
    bool_or(debts.debt_type = 'FTRA') as has_former_tenancy_arrears,
    bool_or(debts.recovery_stage in ('PRE', 'CCJ', 'ENF')) as is_in_legal_recovery,
    max(debts.stage_date) filter (where debts.stage_date < members.as_of_month) as stage_date,
from members
inner join people on members.person_id = people.person_id
inner join debts
    on
        people.record_ref = debts.record_ref
        and {{ current_as_of('debts', 'members.as_of_month') }}
where debts.is_outstanding and debts.invoice_date < members.as_of_month
group by members.as_of_month, members.household_id
