with

residences as (
    select *
    from {{ ref('int_residences') }}
    where
        role is not null
        and coalesce(end_date >= as_of_month, true)
),

members as (
    {{ members_of_months() | indent(4) }}
),

-- What open records say of the members of a household in its home. A school that gives no address speaks of
-- the child wherever they live.
said as (
    select
        members.as_of_month,
        members.household_id,
        members.property_ref,
        members.person_id,
        members.is_child,
        residences.feed,
        residences.role,
        residences.role_known_on,
        residences.start_date,
        residences.feed in ('housing_benefit', 'housing_tenancies') as is_household_record,
    from residences
    inner join members
        on
            residences.as_of_month = members.as_of_month
            and residences.person_id = members.person_id
    where
        residences.property_ref = members.property_ref
        or (residences.is_sighting and residences.property_ref is null)
),

-- Whose partner or child others on the claim or tenancy are. Where a feed names two, nobody knows whose.
named as (
    select
        as_of_month,
        property_ref,
        feed,
        min(person_id) as person_id,
    from said
    where role in ('claimant', 'tenant')
    group by as_of_month, property_ref, feed
    having min(person_id) = max(person_id)
),

-- Main tenants of one home who came on the same day.
joint_tenancies as (
    select
        as_of_month,
        property_ref,
        start_date,
    from said
    where role = 'tenant'
    group by as_of_month, property_ref, start_date
    having min(person_id) != max(person_id)
),

hints as (
    select
        said.as_of_month,
        said.household_id,
        said.person_id,
        said.feed,
        said.role,
        said.role_known_on as known_on,
        named.person_id as to_person_id,
        case
            when said.role = 'tenant' and joint_tenancies.start_date is not null then 'joint_tenant'
            when said.role != 'child' then said.role
            when said.is_household_record and said.is_child then 'dependent_child'
            when said.is_household_record then 'grown_child'
            else 'child'
        end as relationship,
        -- What a person is to another tells more than whose name stands on a paper.
        case relationship
            when 'partner' then 1
            when 'dependent_child' then 2
            when 'grown_child' then 3
            when 'claimant' then 4
            when 'joint_tenant' then 5
            when 'tenant' then 6
            when 'non_dependant' then 7
            when 'occupier' then 8
            when 'liable' then 9
            when 'jointly_liable' then 10
            else 11
        end as relationship_rank,
    from said
    left join named
        on
            said.as_of_month = named.as_of_month
            and said.property_ref = named.property_ref
            and said.feed = named.feed
            and said.person_id != named.person_id
    left join joint_tenancies
        on
            said.as_of_month = joint_tenancies.as_of_month
            and said.property_ref = joint_tenancies.property_ref
            and said.start_date = joint_tenancies.start_date
    -- A child on a claim or tenancy of nobody here may have stayed behind in the file; a pupil who is grown
    -- by now may be nobody's child here.
    where
        said.role != 'child'
        or if(said.is_household_record, named.person_id is not null, said.is_child)
),

told as (
    select
        as_of_month,
        person_id,
        any_value(household_id) as household_id,
        arg_min(
            {
                'relationship': relationship,
                'to_person_id': to_person_id,
                'feed': feed,
                'known_on': known_on
            },
            (relationship_rank, to_person_id is null, known_on, feed)
        ) as hint,
        bool_or(role = 'claimant') as is_claimant,
        bool_or(role = 'tenant') as is_tenant,
        bool_or(role in ('liable', 'jointly_liable')) as is_liable,
        bool_or(role = 'partner') and bool_or(role = 'child') as is_contradicted,
    from hints
    group by as_of_month, person_id
)

select
    told.as_of_month,
    told.household_id,
    told.person_id,
    told.hint.relationship,
    told.hint.to_person_id,
    told.hint.feed,
    told.hint.known_on,
    told.is_claimant,
    told.is_tenant,
    told.is_liable,
    told.is_contradicted,
    -- Measured on the synthetic county: docs/households.md.
    case
        when told.is_contradicted then null
        when
            told.hint.to_person_id is null
            and told.hint.relationship in ('partner', 'non_dependant', 'occupier')
            then if(told.hint.feed = 'housing_benefit', 0.60, 0.93)
        when told.hint.feed = 'housing_tenancies' then 0.99
        when told.hint.relationship = 'grown_child' then 0.85
        when told.hint.relationship in ('partner', 'dependent_child', 'non_dependant') then 0.97
        else 0.98
    end as confidence,
from told
