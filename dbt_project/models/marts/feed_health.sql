with

months as (
    select * from {{ ref('int_as_of_months') }}
),

deliveries as (
    select * from {{ ref('stg_deliveries') }}
)

select
    months.as_of_month::date as as_of_month,
    deliveries.feed::varchar as feed,
    count(*)::integer as deliveries_received,
    max(deliveries.delivery_date)::date as latest_delivery_date,
    max(deliveries.received_date)::date as latest_received_date,
    date_diff('day', max(deliveries.delivery_date), months.as_of_month)::integer as days_old,
from months
inner join deliveries on months.as_of_month > deliveries.received_date
group by months.as_of_month, deliveries.feed
