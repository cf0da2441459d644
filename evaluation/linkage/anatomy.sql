-- What parted the records of one person, and what let two people's records together.
--
-- Given: `judged` (record_ref, feed, person, cluster, errors, household), `alike` (record_ref, compared_as), `decided`
-- (record_ref_l, record_ref_r, stage: what clustering made of each link) and the variable `threshold`. `levels_missed` and `levels_wrong` are made from `asked_missed` and `asked_wrong` by
-- linkage.scoring.pair_levels, between the parts of this file.

-- part: pairs
create or replace temp table members as
select judged.*, alike.compared_as
from judged
join alike using (record_ref);

create or replace temp table missed as
select
    l.person,
    l.record_ref as record_ref_l,
    r.record_ref as record_ref_r,
    least(l.compared_as, r.compared_as) as compared_l,
    greatest(l.compared_as, r.compared_as) as compared_r,
    least(l.cluster, r.cluster) as cluster_l,
    greatest(l.cluster, r.cluster) as cluster_r,
    least(l.feed, r.feed) as feed_l,
    greatest(l.feed, r.feed) as feed_r,
    l.errors | r.errors as errors,
from members as l
join members as r on l.person = r.person and l.record_ref < r.record_ref
where l.cluster <> r.cluster;

create or replace temp table wrong as
select
    l.cluster,
    least(l.person, r.person) as person_l,
    greatest(l.person, r.person) as person_r,
    least(l.compared_as, r.compared_as) as compared_l,
    greatest(l.compared_as, r.compared_as) as compared_r,
    least(l.feed, r.feed) as feed_l,
    greatest(l.feed, r.feed) as feed_r,
    l.household = r.household as of_one_household,
from members as l
join members as r on l.cluster = r.cluster and l.record_ref < r.record_ref
where l.person <> r.person;

create or replace temp table asked_missed as
select distinct compared_l as record_ref_l, compared_r as record_ref_r
from missed
where compared_l <> compared_r
order by all;

create or replace temp table asked_wrong as
select distinct compared_l as record_ref_l, compared_r as record_ref_r
from wrong
where compared_l <> compared_r
order by all;

-- part: causes
-- How far a missed pair came, from 0 (its two records were never compared) over 1 and 2 (too light, ruled out) to 3 and
-- more (linked, then parted, for a reason each).
create or replace temp table missed_stages as
select
    missed.*,
    levels.match_weight,
    case
        when compared_l = compared_r then 3
        when levels.rule is null then 0
        when levels.match_weight < getvariable('threshold') then 1
        when levels.relatives then 2
        else coalesce(decided.stage, 6)
    end as stage,
from missed
left join levels_missed as levels on compared_l = levels.record_ref_l and compared_r = levels.record_ref_r
left join decided on compared_l = decided.record_ref_l and compared_r = decided.record_ref_r;

-- One row for each two clusters that hold records of one person: one more link would have joined them, so the pair that
-- came furthest, then the heaviest, tells what was lacking.
create or replace temp table partings as
select
    person,
    cluster_l,
    cluster_r,
    count(*) as pairs,
    max(stage) as stage,
    arg_max(compared_l, (stage, match_weight, compared_l, compared_r)) as compared_l,
    arg_max(compared_r, (stage, match_weight, compared_l, compared_r)) as compared_r,
from missed_stages
group by person, cluster_l, cluster_r;

create or replace temp table parted as
select missed_stages.* exclude (stage), missed_stages.stage as own_stage, partings.stage
from missed_stages
join partings using (person, cluster_l, cluster_r);

-- One row for each two people in one cluster: the strongest link between them, or none where others tie them.
create or replace temp table mergers as
select
    cluster,
    person_l,
    person_r,
    count(*) as pairs,
    bool_or(of_one_household) as of_one_household,
    arg_max(compared_l, (linked, match_weight, compared_l, compared_r)) as compared_l,
    arg_max(compared_r, (linked, match_weight, compared_l, compared_r)) as compared_r,
    bool_or(linked) as linked,
from (
    select
        wrong.*,
        levels.match_weight,
        compared_l = compared_r
            or coalesce(
                levels.rule is not null
                    and levels.match_weight >= getvariable('threshold')
                    and not levels.relatives,
                false
            ) as linked,
    from wrong
    left join levels_wrong as levels on compared_l = levels.record_ref_l and compared_r = levels.record_ref_r
)
group by cluster, person_l, person_r;
