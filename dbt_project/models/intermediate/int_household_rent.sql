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

tenants as (
    select * from {{ ref('stg_housing_tenancies__tenants') }}
),

rent_arrears as (
    select * from {{ ref('int_rent_arrears') }}
),

tenant_people as (
    select
        months.as_of_month,
        people.person_id,
        tenants.tenancy_ref,
        tenants.property_ref,
        tenants.end_date,
        tenants.notice_given_date,
        tenants.weekly_rent,
    from months
    inner join tenants on {{ current_as_of('tenants', 'months.as_of_month') }}
    inner join people on tenants.record_ref = people.record_ref
    where tenants.start_date < months.as_of_month
),

household_tenancies as (
    select
        members.as_of_month,
        members.household_id,
        tenant_people.tenancy_ref,
        bool_or(
            members.property_ref = tenant_people.property_ref
            and (tenant_people.end_date is null or tenant_people.end_date >= members.as_of_month)
        ) as is_home,
        max(tenant_people.notice_given_date) as notice_given_date,
        max(tenant_people.weekly_rent) as weekly_rent,
    from members
    inner join tenant_people
        on
            members.as_of_month = tenant_people.as_of_month
            and members.person_id = tenant_people.person_id
    group by members.as_of_month, members.household_id, tenant_people.tenancy_ref
)

select
    household_tenancies.as_of_month,
    household_tenancies.household_id,
    bool_or(household_tenancies.is_home) as is_social_tenant,
    max(household_tenancies.notice_given_date) filter (
        where household_tenancies.notice_given_date < household_tenancies.as_of_month
    ) as notice_given_date,
    max(household_tenancies.weekly_rent) filter (where household_tenancies.is_home) as weekly_rent,
    max(rent_arrears.arrears_balance) as arrears_balance,
    max(rent_arrears.arrears_balance / nullif(household_tenancies.weekly_rent, 0))
        as arrears_in_weeks_of_rent,
    max(rent_arrears.weeks_in_arrears) as weeks_in_arrears,
    min(rent_arrears.arrears_since) as arrears_since,
    arg_max(
        rent_arrears.arrears_change_13w, (rent_arrears.arrears_balance, rent_arrears.arrears_change_13w)
    ) as arrears_change_13w,
    max(rent_arrears.highest_balance_12m) as highest_balance_12m,
    max(rent_arrears.notice_to_quit_date) as notice_to_quit_date,
    max(rent_arrears.court_date) as court_date,
    max(rent_arrears.letters_12m) as letters_12m,
from household_tenancies
left join rent_arrears
    on
        household_tenancies.as_of_month = rent_arrears.as_of_month
        and household_tenancies.tenancy_ref = rent_arrears.tenancy_ref
group by household_tenancies.as_of_month, household_tenancies.household_id
