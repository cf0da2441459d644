-- Links between clusters that share a home, or two homes that others have moved between. Run by linkage/clustering/second_look.py,
-- which gives it `record_keys` (link keys and `label`, the cluster of each) and `evidence_weights`. No attribute.

create temp table first_records as
select label, min(record_ref) as record_ref
from record_keys
group by label;

create temp table homes as
select uprn_token as home
from record_keys
where uprn_token is not null
group by uprn_token
having count(distinct label) <= getvariable('largest_home');

-- One row per cluster, home and way in which the cluster is written down there.
create temp table written as
select
    label,
    uprn_token as home,
    feed,
    partner_reference_token as reference,
    full_name_token as full_name,
    middle_full_name_token as middle_full_name,
    surname_uprn_token as surname,
    forename_uprn_token as forename,
    middle_uprn_token as middle,
    initial_uprn_token as initial,
    bare_initial_uprn_token as bare_initial,
from record_keys
semi join homes on homes.home = record_keys.uprn_token
group by all;

-- What the records of a cluster say together.
create temp table wholes as
with said as (
    select
        label,
        nino_token,
        nhs_number_token,
        upn_token,
        unnest([
            forename_start_birth_date_token,
            surname_start_birth_date_token,
            birth_date_outward_code_token,
            null
        ]) as birth_date,
        unnest([
            initials_birth_year_month_token, initials_birth_year_day_token, initials_birth_month_day_token,
            initials_birth_swapped_token
        ]) as birth_part,
    from record_keys
)
select
    label,
    list(distinct nino_token) filter (where nino_token is not null) as ninos,
    list(distinct nhs_number_token) filter (where nhs_number_token is not null) as nhs_numbers,
    list(distinct upn_token) filter (where upn_token is not null) as upns,
    list(distinct birth_date) filter (where birth_date is not null) as birth_dates,
    list(distinct birth_part) filter (where birth_part is not null) as birth_parts,
from said
group by label;

create temp table feeds as
select label, list(distinct feed) as feeds
from record_keys
group by label;

create temp table names_agree as
select
    one.label as label_l,
    other.label as label_r,
    bool_or(coalesce(one.full_name = other.full_name, false)) as full_name,
    bool_or(coalesce(one.surname = other.surname, false)) as surname,
    bool_or(coalesce(one.forename = other.forename, false)) as forename,
    bool_or(coalesce(one.initial = other.initial, false)) as initial,
    bool_or(
        coalesce(one.surname = other.surname, false)
        and coalesce(one.bare_initial = other.initial or one.initial = other.bare_initial, false)
    ) as bare_initial,
    bool_or(
        coalesce(one.middle = other.forename or one.forename = other.middle, false)
        or coalesce(
            one.middle_full_name = other.full_name or one.full_name = other.middle_full_name, false
        )
    ) as middle,
    bool_or(
        coalesce(one.surname = other.surname, false) and (one.initial is null or other.initial is null)
    ) as single_name,
    bool_or(coalesce(one.feed = other.feed and one.reference <> other.reference, false)) as two_references,
from written as one
inner join written as other on one.home = other.home and one.label < other.label
group by all;

-- Pairs with one initial and another name, the filters of whose nearest spellings differ in few bits.
create temp table spelt_alike as
with alike as (
    select
        label_l,
        label_r,
    from names_agree
    where initial and not (full_name or bare_initial or middle or two_references)
),

spelt as materialized (
    select distinct
        label,
        uprn_token as home,
        (
            name_filter_00::bit::blob || name_filter_01::bit::blob || name_filter_02::bit::blob
            || name_filter_03::bit::blob || name_filter_04::bit::blob || name_filter_05::bit::blob
            || name_filter_06::bit::blob || name_filter_07::bit::blob || name_filter_08::bit::blob
            || name_filter_09::bit::blob || name_filter_10::bit::blob || name_filter_11::bit::blob
            || name_filter_12::bit::blob || name_filter_13::bit::blob || name_filter_14::bit::blob
            || name_filter_15::bit::blob
        )::bit as name_filter,
    from (
        select * from record_keys
        semi join (select label_l as label from alike union select label_r from alike) as asked using (label)
        where name_filter_00 is not null
    )
)

select
    label_l,
    label_r,
from alike
inner join spelt as one on one.label = label_l
inner join spelt as other on other.label = label_r and other.home = one.home
group by label_l, label_r
having min(bit_count(xor(one.name_filter, other.name_filter))) <= getvariable('near_name');

create temp table housemates as
select
    names_agree.*,
    case
        when coalesce(list_has_any(one.birth_dates, other.birth_dates), false) then 'same'
        when coalesce(list_has_any(one.birth_parts, other.birth_parts), false) then 'near'
        when len(one.birth_dates) > 0 and len(other.birth_dates) > 0 then 'other'
        when len(one.birth_dates) > 0 or len(other.birth_dates) > 0 then 'one knows'
        else 'unknown'
    end as birth_date,
    (len(one.ninos) > 0 and len(other.ninos) > 0 and not list_has_any(one.ninos, other.ninos))
    or (
        len(one.nhs_numbers) > 0
        and len(other.nhs_numbers) > 0
        and not list_has_any(one.nhs_numbers, other.nhs_numbers)
    )
    or (len(one.upns) > 0 and len(other.upns) > 0 and not list_has_any(one.upns, other.upns)) as other_number,
    case
        when full_name then 'full name'
        when bare_initial then 'surname, bare initial'
        when middle then 'middle name'
        when surname and initial then 'surname, initial'
        when forename then 'forename'
        when single_name then 'single name'
        when surname then 'surname'
        when spelt_alike.label_l is not null then 'initial, alike'
        else 'other'
    end as name,
    case
        when full_name then 4
        when bare_initial or middle then 3
        when initial and (surname or spelt_alike.label_l is not null) then 2
        when surname or forename then 1
        else 0
    end as rank,
from names_agree
left join spelt_alike using (label_l, label_r)
inner join wholes as one on one.label = label_l
inner join wholes as other on other.label = label_r;

create temp table possible as
with allowed as (
    select *
    from housemates
    where not two_references and birth_date <> 'other' and not coalesce(other_number, false)
)
select label_l as label, label_r as housemate, rank from allowed
union all
select label_r, label_l, rank from allowed;

-- Clusters for whom another housemate fits as well, who is not by name the same as the first.
create temp table rivalled as
select distinct
    one.label,
    one.housemate,
from possible as one
inner join possible as rival
    on one.label = rival.label and one.rank <= rival.rank and one.housemate <> rival.housemate
anti join (select * from possible where rank >= 3) as friend
    on friend.label = rival.housemate and friend.housemate = one.housemate
where one.rank >= 1;

create temp table at_home as
select
    housemates.*,
    one.label is null and other.label is null as unrivalled,
    not list_has_any(feeds_l.feeds, feeds_r.feeds) as no_feed_in_common,
from housemates
inner join feeds as feeds_l on feeds_l.label = label_l
inner join feeds as feeds_r on feeds_r.label = label_r
left join rivalled as one on one.label = label_l and one.housemate = label_r
left join rivalled as other on other.label = label_r and other.housemate = label_l
where rank >= 1 or birth_date = 'same';

-- Two homes that one cluster has lived at, or left for each other.
create temp table moves as
with stays as (select distinct label, home from written),
movers as (select label from stays group by label having count(*) between 2 and getvariable('most_homes')),
moved as (
    select
        one.label,
        one.home as home_l,
        other.home as home_r,
    from stays as one
    inner join stays as other on one.label = other.label and one.home <> other.home
    semi join movers on movers.label = one.label
),
forwarded as (
    select
        label,
        uprn_token as home_l,
        forwarding_uprn_token as home_r,
    from record_keys
    where uprn_token <> forwarding_uprn_token
)
select label, home_l, home_r, false as forwarded from moved
union all
select label, home_l, home_r, true as forwarded from forwarded
union all
select label, home_r, home_l, true as forwarded from forwarded;

-- Clusters with one full name, one at each of two such homes; neither number nor date of birth keeps them apart.
create temp table movers as
with same_name as (
    select distinct
        one.label as label_l,
        other.label as label_r,
    from moves
    inner join written as one on one.home = moves.home_l
    inner join written as other on other.home = moves.home_r and one.full_name = other.full_name
    where one.label < other.label and (moves.forwarded or moves.label not in (one.label, other.label))
)

select
    label_l,
    label_r,
from same_name
anti join housemates using (label_l, label_r)
inner join wholes as one on one.label = label_l
inner join wholes as other on other.label = label_r
where
    coalesce(
        list_has_any(one.birth_dates, other.birth_dates)
        or list_has_any(one.birth_parts, other.birth_parts),
        true
    )
    and coalesce(list_has_any(one.ninos, other.ninos), true)
    and coalesce(list_has_any(one.nhs_numbers, other.nhs_numbers), true)
    and coalesce(list_has_any(one.upns, other.upns), true);

with judged as (
    select
        label_l,
        label_r,
        case
            when coalesce(other_number, false) then null
            when birth_date in ('same', 'near') and rank >= 1 and not two_references
                then 'birth date and a name'
            when
                birth_date = 'same'
                and name in ('forename', 'middle name', 'surname, bare initial', 'surname, initial')
                then 'birth date and forename'
            when birth_date = 'same' and name = 'other' and no_feed_in_common then 'birth date alone'
            when two_references then null
            when name = 'full name' and (birth_date = 'other' or unrivalled) then 'full name'
            when name = 'full name' then 'full name of several'
            when birth_date = 'other' then null
            when name = 'surname, bare initial' and (unrivalled or birth_date = 'one knows')
                then 'surname and bare initial'
            when name = 'middle name' and birth_date = 'one knows' and unrivalled then 'middle name'
            when name = 'forename' and no_feed_in_common then 'forename'
            when name = 'single name' and unrivalled then 'single name'
            when name = 'initial, alike' then 'initial and alike'
            when
                name = 'surname, initial' and birth_date = 'one knows' and unrivalled and no_feed_in_common
                then 'surname and initial'
        end as evidence,
    from at_home
    union all
    select
        label_l,
        label_r,
        'moved with others' as evidence,
    from movers
)
select
    first_l.record_ref as record_ref_l,
    first_r.record_ref as record_ref_r,
    match_weight,
    evidence,
from judged
inner join evidence_weights using (evidence)
inner join first_records as first_l on first_l.label = label_l
inner join first_records as first_r on first_r.label = label_r
order by match_weight desc, record_ref_l, record_ref_r;
