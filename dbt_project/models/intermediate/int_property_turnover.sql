with

months as (
    select * from {{ ref('int_as_of_months') }}
),

accounts as (
    select * from {{ ref('stg_council_tax__accounts') }}
)

select
    months.as_of_month,
    accounts.property_ref,
    count(distinct accounts.account_ref) as occupations_5y,
from months
inner join accounts on {{ current_as_of('accounts', 'months.as_of_month') }}
where {{ within_years('accounts.start_date', 'months.as_of_month', 5) }}
group by months.as_of_month, accounts.property_ref
