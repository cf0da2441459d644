-- Households and their features are made together: none may be lost in a join.
with

households as (
    select * from {{ ref('households') }}
),

features as (
    select * from {{ ref('household_features') }}
)

select
    households.household_id,
    households.as_of_month,
from households
anti join features
    on
        households.household_id = features.household_id
        and households.as_of_month = features.as_of_month
