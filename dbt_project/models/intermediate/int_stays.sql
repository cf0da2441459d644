with

residences as (
    select
        *,
        coalesce(end_date >= as_of_month, true) as is_open,
        feed = 'electoral_register' as is_register,
    from {{ ref('int_residences') }}
    where property_ref is not null
),

-- What all records together say of a person at a property.
told as (
    select
        as_of_month,
        person_id,
        property_ref,
        min(start_date) filter (where not is_sighting) as told_since,
        max(start_date) filter (where not is_sighting) as last_told_on,
        max(start_date) filter (where not is_sighting and not is_register and is_open) as recorded_on,
        max(end_date) filter (where not is_sighting and not is_register and not is_open) as left_on,
        max(start_date) filter (where is_register and is_open) as registered_on,
        max(end_date) filter (where is_register and not is_open) as removed_on,
        max(start_date) filter (where account_ref is not null) as on_account_since,
        min(start_date) filter (where is_sighting) as seen_since,
        max(start_date) filter (where is_sighting) as seen_on,
        bool_or(feed = 'council_tax' and is_open)::integer
        + bool_or(feed = 'housing_tenancies' and is_open)::integer
        + bool_or(feed = 'housing_benefit' and is_open)::integer
        + bool_or(is_register and is_open)::integer as feeds,
        bool_or(is_lead) as is_lead,
        bool_or(is_temporary and is_open) as is_temporary,
        min(known_on) as known_on,
    from residences
    group by as_of_month, person_id, property_ref
),

-- The home that a person's own records speak of last, and when they last left one.
settled as (
    select
        as_of_month,
        person_id,
        arg_max(property_ref, (recorded_on, is_lead, property_ref)) as property_ref,
        max(recorded_on) as settled_on,
        max(left_on) as left_on,
    from told
    group by as_of_month, person_id
),

accounts as (
    select
        residences.as_of_month,
        residences.property_ref,
        residences.account_ref,
        min(residences.start_date) as start_date,
        if(bool_or(residences.is_open), null, max(residences.end_date)) as end_date,
        min(told.told_since) as told_since,
    from residences
    inner join told
        on
            residences.as_of_month = told.as_of_month
            and residences.person_id = told.person_id
            and residences.property_ref = told.property_ref
    where residences.account_ref is not null
    group by residences.as_of_month, residences.property_ref, residences.account_ref
),

-- What the accounts of a home say of each person there.
by_accounts as (
    select
        told.as_of_month,
        told.person_id,
        told.property_ref,
        -- New people on the account: whoever was there before them has gone. An account that passes to
        -- somebody who lived there already (a widow, a grown child) changes nothing.
        min(accounts.start_date) filter (
            where accounts.told_since >= accounts.start_date - {{ var('moving_days') }}
            and coalesce(told.on_account_since, told.last_told_on, told.seen_on) < accounts.start_date
            and coalesce(told.recorded_on < accounts.start_date, true)
        ) as succeeded_on,
        -- Everybody on the accounts has left, and nobody has taken the home since.
        if(count(*) = count(accounts.end_date), max(accounts.end_date), null) as vacated_on,
        -- The account under which somebody came whom only the register knows.
        max(accounts.start_date) filter (
            where told.recorded_on is null
            and told.left_on is null
            and accounts.start_date <= told.told_since
            and accounts.start_date > told.told_since - {{ var('register_lag_days') }}
        ) as arrived_on,
    from told
    inner join accounts
        on
            told.as_of_month = accounts.as_of_month
            and told.property_ref = accounts.property_ref
    group by told.as_of_month, told.person_id, told.property_ref
),

judged as (
    select
        told.*,
        settled.left_on as last_left_on,
        by_accounts.succeeded_on,
        by_accounts.vacated_on,
        greatest(by_accounts.arrived_on, settled.left_on) as arrived_on,
        if(
            settled.property_ref != told.property_ref
            and settled.settled_on > coalesce(told.recorded_on, told.registered_on),
            settled.settled_on,
            null
        ) as moved_on,
        -- An entry that outlived a canvass says anew that somebody is there. The canvass ends with September
        -- and is published in December.
        greatest(told.registered_on, make_date(year(told.as_of_month) - 1, 10, 1)) as canvassed_on,
        -- Half of those who leave are struck off at a canvass, at any time in the year after they left.
        told.removed_on - if(month(told.removed_on) = 12, 180, 75) as struck_off_on,
    from told
    inner join settled
        on
            told.as_of_month = settled.as_of_month
            and told.person_id = settled.person_id
    left join by_accounts
        on
            told.as_of_month = by_accounts.as_of_month
            and told.person_id = by_accounts.person_id
            and told.property_ref = by_accounts.property_ref
),

-- The register says little against the last day of a record: some are put on it after they have left.
placed as (
    select
        *,
        case
            when succeeded_on is not null then null
            when recorded_on > coalesce(greatest(left_on, removed_on), date '1900-01-01') then 'record'
            when
                registered_on > coalesce(
                    greatest(last_left_on, removed_on, left_on + interval 1 year), date '1900-01-01'
                )
                and canvassed_on > coalesce(vacated_on, date '1900-01-01')
                then 'register'
            when
                {{ within_years('seen_on', 'as_of_month', 2) }}
                and seen_on > coalesce(greatest(last_left_on, vacated_on), date '1900-01-01')
                then 'sighting'
        end as placed_by,
        coalesce(
            left_on,
            moved_on,
            if(removed_on < least(succeeded_on, vacated_on), struck_off_on, least(succeeded_on, vacated_on)),
            struck_off_on,
            last_left_on
        ) as gone_on,
    from judged
)

select
    as_of_month,
    person_id,
    property_ref,
    least(arrived_on, coalesce(told_since, seen_since)) as started_on,
    if(placed_by is null, gone_on, null) as ended_on,
    known_on,
    placed_by,
    -- The day of what places them, to choose between homes. The register hears of a move some weeks late.
    case placed_by
        when 'record' then recorded_on
        when 'register' then registered_on - {{ var('moving_days') }}
        when 'sighting' then seen_on
    end as placed_on,
    -- Measured on the synthetic county: docs/households.md.
    case
        when placed_by = 'sighting' then 0.85
        when placed_by = 'register' or feeds = 1 then 0.95
        when placed_by = 'record' and feeds = 2 then 0.98
        when placed_by = 'record' then 0.99
    end as confidence,
    feeds,
    is_lead,
    is_temporary,
from placed
