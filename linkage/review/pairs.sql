-- Every pair of records that a review can be about: those that somebody compared and scored at or above the floor,
-- and those that people hold together. Parameter: what identical keys weigh.
create or replace temp table review_records as
select
    (row_number() over (order by record_ref) - 1)::integer as place,
    record_ref,
    compared_as,
    person_id,
    count(*) over (partition by person_id) as records,
from alike
join people using (record_ref);

-- Of records with identical keys one was compared: what it found holds for all of them.
create or replace temp table candidate_pairs as
select
    least(l.place, r.place) as place_l,
    greatest(l.place, r.place) as place_r,
    scored.match_weight,
from scored
join review_records as l on scored.record_ref_l = l.compared_as
join review_records as r on scored.record_ref_r = r.compared_as
union all
select
    l.place as place_l,
    r.place as place_r,
    ? as match_weight,
from review_records as l
join review_records as r on l.compared_as = r.compared_as and l.place < r.place;

create or replace temp table linked_pairs as
select
    l.place as place_l,
    r.place as place_r,
    2.0 / l.records as share,
from review_records as l
join review_records as r on l.person_id = r.person_id and l.place < r.place;

create or replace temp table review_universe as
select
    place_l,
    place_r,
    candidate_pairs.match_weight,
    linked_pairs.share is not null as linked,
    coalesce(linked_pairs.share, 0) as share,
from candidate_pairs
full join linked_pairs using (place_l, place_r)
order by place_l, place_r;
