-- What each of `texts` means, from its `candidates` in `gazetteer`. Near are the candidates that the best does not lead
-- by enough. One near home is found; near places of one building find the building; a building itself is no home.
with

buildings as (
    select distinct parent_uprn as uprn from gazetteer where parent_uprn is not null
),

weighed as (
    select
        candidates.text,
        candidates.uprn,
        candidates.match_weight,
        -- As the gazetteer writes it beats any likeness.
        coalesce(candidates.match_weight, 'infinity'::double) as weight,
        buildings.uprn is not null as is_building,
        case when buildings.uprn is null then gazetteer.parent_uprn else candidates.uprn end as building,
    from candidates
    left join gazetteer on candidates.uprn = gazetteer.uprn
    left join buildings on candidates.uprn = buildings.uprn
),

best as (
    select text, max(weight) as weight from weighed group by text
),

near as (
    select
        best.text,
        count(distinct weighed.uprn) as properties,
        min(weighed.uprn) as uprn,
        max(weighed.match_weight) as match_weight,
        bool_or(weighed.is_building) as has_building,
        count(distinct coalesce(weighed.building, weighed.uprn)) as places,
        min(weighed.building) as building,
    from best
    inner join weighed
        on best.text = weighed.text
        and (weighed.weight = best.weight or best.weight - weighed.weight < $minimum_distinguishability)
    where best.weight >= $minimum_match_weight
    group by best.text
),

decided as (
    select
        texts.text,
        case
            when near.text is null then $unmatched
            when near.properties = 1 and not near.has_building and near.match_weight is null then $as_written
            when near.properties = 1 and not near.has_building and near.match_weight >= $sure_match_weight then $sure
            when near.properties = 1 and not near.has_building then $likely
            when near.places = 1 and near.building is not null then $parent
            else $ambiguous
        end as level,
        near.uprn,
        near.building,
        near.match_weight,
    from texts
    left join near on texts.text = near.text
)

select
    text,
    level,
    case when level in ($as_written, $sure, $likely) then uprn end as uprn,
    case when level = $parent then building end as parent_uprn,
    match_weight,
from decided
