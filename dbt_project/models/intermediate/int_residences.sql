with

months as (
    select * from {{ ref('int_as_of_months') }}
),

people as (
    select * from {{ ref('stg_people') }}
),

accounts as (
    select
        *,
        min(received_date) over (partition by record_ref, property_ref) as known_on,
    from {{ ref('stg_council_tax__accounts') }}
),

tenants as (
    select
        *,
        min(received_date) over (partition by record_ref, property_ref) as known_on,
        min(received_date) over (
            partition by record_ref, property_ref, is_main_tenant, relationship_code
        ) as role_known_on,
    from {{ ref('stg_housing_tenancies__tenants') }}
),

cases as (
    select * from {{ ref('stg_homelessness_cases__cases') }}
),

care_events as (
    select * from {{ ref('stg_adult_social_care__events') }}
),

claim_members as (
    select
        *,
        min(received_date) over (partition by record_ref, property_ref) as known_on,
        min(received_date) over (partition by record_ref, property_ref, relationship_code) as role_known_on,
    from {{ ref('stg_housing_benefit__members') }}
),

benefit_claims as (
    select * from {{ ref('stg_housing_benefit__claims') }}
),

-- The register gives a date of birth of attainers alone, until they are 18: who had one once has it still.
electors as (
    select
        * exclude (year_of_birth),
        year_of_birth is not null as is_attainer,
        max(year_of_birth) over (
            partition by record_ref order by received_date, delivery_date, delivery_id
        ) as year_of_birth,
        min(received_date) over (partition by record_ref, property_ref) as known_on,
    from {{ ref('stg_electoral_register__electors') }}
),

applications as (
    select * from {{ ref('stg_housing_register__applications') }}
),

pupils as (
    select
        *,
        min(received_date) over (partition by record_ref) as role_known_on,
    from {{ ref('stg_school_census__pupilonroll') }}
),

pupil_addresses as (
    select * from {{ ref('stg_school_census__addresses') }}
),

child_identities as (
    select
        *,
        min(received_date) over (partition by record_ref) as role_known_on,
    from {{ ref('stg_children_in_need__identities') }}
),

episodes as (
    select * from {{ ref('stg_early_help__episodes') }}
),

contacts as (
    select * from {{ ref('stg_early_help__contacts') }}
),

victims as (
    select * from {{ ref('stg_antisocial_behaviour__victims') }}
),

incidents as (
    select * from {{ ref('stg_antisocial_behaviour__incidents') }}
),

interventions as (
    select * from {{ ref('stg_hub_interventions__interventions') }}
),

-- Records of where somebody lives.
from_accounts as (
    select
        months.as_of_month,
        'council_tax' as feed,
        accounts.record_ref,
        accounts.property_ref,
        accounts.start_date,
        {{ ended_as_of('accounts', 'months.as_of_month') }} as end_date,
        accounts.year_of_birth,
        accounts.liability_position = 1 as is_lead,
        false as is_child,
        false as is_sighting,
        accounts.known_on,
        accounts.account_ref,
        if(accounts.liability_position = 1, 'liable', 'jointly_liable') as role,
        accounts.known_on as role_known_on,
    from months
    inner join accounts on {{ last_known_as_of('accounts', 'months.as_of_month') }}
),

from_tenants as (
    select
        months.as_of_month,
        'housing_tenancies' as feed,
        tenants.record_ref,
        tenants.property_ref,
        tenants.start_date,
        {{ ended_as_of('tenants', 'months.as_of_month') }} as end_date,
        tenants.year_of_birth,
        tenants.is_main_tenant as is_lead,
        coalesce(tenants.relationship_code = 'CHILD', false) as is_child,
        false as is_sighting,
        tenants.known_on,
        coalesce(tenants.tenancy_type like 'TACC%', false) as is_temporary,
        case
            when tenants.is_main_tenant then 'tenant'
            when tenants.relationship_code = 'PARTNER' then 'partner'
            when tenants.relationship_code = 'CHILD' then 'child'
            else 'occupier'
        end as role,
        tenants.role_known_on,
    from months
    inner join tenants on {{ last_known_as_of('tenants', 'months.as_of_month') }}
),

-- A claim that ends because its people left or died ends their stay; one that ends for another reason (more
-- income, universal credit) only stops telling where they are.
ended_claims as (
    select
        months.as_of_month,
        benefit_claims.claim_ref,
        benefit_claims.home_number,
        max(benefit_claims.cancelled_date) as cancelled_date,
        bool_or(benefit_claims.end_reason in ('MVD', 'DEC')) as is_stay_over,
    from months
    inner join benefit_claims on {{ last_known_as_of('benefit_claims', 'months.as_of_month') }}
    where benefit_claims.cancelled_date is not null
    group by months.as_of_month, benefit_claims.claim_ref, benefit_claims.home_number
),

known_claim_members as (
    select
        months.as_of_month,
        claim_members.*,
        {{ ended_as_of('claim_members', 'months.as_of_month') }} as told_until,
    from months
    inner join claim_members on {{ last_known_as_of('claim_members', 'months.as_of_month') }}
),

from_claims as (
    select
        members.as_of_month,
        'housing_benefit' as feed,
        members.record_ref,
        members.property_ref,
        members.start_date,
        case
            when ended_claims.is_stay_over is null then members.told_until
            when ended_claims.is_stay_over then least(members.told_until, ended_claims.cancelled_date)
            when members.told_until < ended_claims.cancelled_date then members.told_until
        end as end_date,
        members.year_of_birth,
        members.relationship_code = 'CLAIMANT' as is_lead,
        members.relationship_code = 'CHILD' as is_child,
        false as is_sighting,
        members.known_on,
        case members.relationship_code
            when 'CLAIMANT' then 'claimant'
            when 'PARTNER' then 'partner'
            when 'CHILD' then 'child'
            else 'non_dependant'
        end as role,
        members.role_known_on,
    from known_claim_members as members
    left join ended_claims
        on
            members.as_of_month = ended_claims.as_of_month
            and members.claim_ref = ended_claims.claim_ref
            and members.home_number = ended_claims.home_number
),

from_electors as (
    select
        months.as_of_month,
        'electoral_register' as feed,
        electors.record_ref,
        electors.property_ref,
        electors.start_date,
        {{ ended_as_of('electors', 'months.as_of_month') }} as end_date,
        electors.year_of_birth,
        false as is_lead,
        electors.is_attainer as is_child,
        false as is_sighting,
        electors.known_on,
    from months
    inner join electors on {{ last_known_as_of('electors', 'months.as_of_month') }}
),

-- Records that only saw somebody at an address: they place a person whom no record of residence places.
from_cases as (
    select
        months.as_of_month,
        'homelessness_cases' as feed,
        cases.record_ref,
        if({{ is_no_home('cases.accommodation') }}, null, cases.property_ref) as property_ref,
        cases.application_date as start_date,
        null::date as end_date,
        cases.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join cases on {{ current_as_of('cases', 'months.as_of_month') }}
),

from_care as (
    select
        months.as_of_month,
        'adult_social_care' as feed,
        care_events.record_ref,
        care_events.property_ref,
        care_events.event_date as start_date,
        null::date as end_date,
        care_events.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join care_events on {{ current_as_of('care_events', 'months.as_of_month') }}
),

from_register as (
    select
        months.as_of_month,
        'housing_register' as feed,
        applications.record_ref,
        applications.property_ref,
        applications.application_date as start_date,
        null::date as end_date,
        applications.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join applications on {{ current_as_of('applications', 'months.as_of_month') }}
),

from_pupils as (
    select
        months.as_of_month,
        'school_census' as feed,
        pupils.record_ref,
        pupil_addresses.property_ref,
        pupils.census_date as start_date,
        null::date as end_date,
        pupils.year_of_birth,
        false as is_lead,
        true as is_child,
        true as is_sighting,
        'child' as role,
        pupils.role_known_on,
    from months
    inner join pupils on {{ current_as_of('pupils', 'months.as_of_month') }}
    inner join pupil_addresses
        on
            pupils.pupil_ref = pupil_addresses.pupil_ref
            and {{ current_as_of('pupil_addresses', 'months.as_of_month') }}
),

from_children_in_need as (
    select
        months.as_of_month,
        'children_in_need' as feed,
        child_identities.record_ref,
        child_identities.property_ref,
        coalesce(child_identities.address_start_date, child_identities.delivery_date) as start_date,
        null::date as end_date,
        child_identities.year_of_birth,
        false as is_lead,
        true as is_child,
        true as is_sighting,
        'child' as role,
        child_identities.role_known_on,
    from months
    inner join child_identities on {{ current_as_of('child_identities', 'months.as_of_month') }}
),

from_early_help as (
    select
        months.as_of_month,
        'early_help' as feed,
        episodes.record_ref,
        episodes.property_ref,
        episodes.start_date,
        null::date as end_date,
        episodes.year_of_birth,
        false as is_lead,
        episodes.is_child,
        true as is_sighting,
    from months
    inner join episodes on {{ current_as_of('episodes', 'months.as_of_month') }}
),

from_contacts as (
    select
        months.as_of_month,
        'early_help' as feed,
        contacts.record_ref,
        contacts.property_ref,
        contacts.contact_date as start_date,
        null::date as end_date,
        contacts.year_of_birth,
        false as is_lead,
        contacts.is_child,
        true as is_sighting,
    from months
    inner join contacts on {{ current_as_of('contacts', 'months.as_of_month') }}
),

from_victims as (
    select
        months.as_of_month,
        'antisocial_behaviour' as feed,
        victims.record_ref,
        victims.property_ref,
        incidents.incident_date as start_date,
        null::date as end_date,
        victims.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join victims on {{ current_as_of('victims', 'months.as_of_month') }}
    inner join incidents
        on
            victims.incident_ref = incidents.incident_ref
            and {{ current_as_of('incidents', 'months.as_of_month') }}
),

from_hub as (
    select
        months.as_of_month,
        'hub_interventions' as feed,
        interventions.record_ref,
        interventions.property_ref,
        interventions.offered_date as start_date,
        null::date as end_date,
        interventions.year_of_birth,
        false as is_lead,
        false as is_child,
        true as is_sighting,
    from months
    inner join interventions on {{ current_as_of('interventions', 'months.as_of_month') }}
),

placings as (
    select * from from_accounts
    union all by name
    select * from from_tenants
    union all by name
    select * from from_claims
    union all by name
    select * from from_electors
    union all by name
    select * from from_cases
    union all by name
    select * from from_care
    union all by name
    select * from from_register
    union all by name
    select * from from_pupils
    union all by name
    select * from from_children_in_need
    union all by name
    select * from from_early_help
    union all by name
    select * from from_contacts
    union all by name
    select * from from_victims
    union all by name
    select * from from_hub
)

select
    placings.as_of_month,
    people.person_id,
    placings.property_ref,
    placings.start_date,
    placings.end_date,
    placings.feed,
    placings.record_ref,
    placings.year_of_birth,
    placings.is_lead,
    placings.is_child,
    placings.is_sighting,
    placings.known_on,
    placings.account_ref,
    coalesce(placings.is_temporary, false) as is_temporary,
    placings.role,
    placings.role_known_on,
from placings
inner join people on placings.record_ref = people.record_ref
where
    placings.start_date < placings.as_of_month
    -- Where somebody was seen long ago says little of where they live.
    and (
        not placings.is_sighting
        or {{ within_years('placings.start_date', 'placings.as_of_month', 2) }}
    )
