-- `asked`: one row per written address, with what was found for it; `true_homes`: where it may rightly lead.
with

homes as (
    select
        true_homes.address_id,
        list(distinct true_homes.uprn) as uprns,
        list(distinct coalesce(gazetteer.parent_uprn, true_homes.uprn)) as buildings,
    from true_homes
    left join gazetteer on true_homes.uprn = gazetteer.uprn
    group by true_homes.address_id
)

select
    asked.feed,
    asked.level,
    case
        when asked.uprn is null and asked.parent_uprn is null then 'nothing'
        when homes.address_id is null then 'unknown'
        when list_contains(homes.uprns, asked.uprn) then 'right'
        when list_contains(homes.buildings, asked.parent_uprn) then 'right building'
        else 'wrong'
    end as verdict,
    count(*) as addresses,
from asked
left join homes on asked.address_id = homes.address_id
group by all
order by all
