-- part: totals
select
    count(*) as records,
    count(distinct person_id) as people,
    coalesce((select max(records) from (select count(*) as records from people group by person_id)), 0) as largest,
from people

-- part: feeds
-- People whom two feeds both know; a feed with itself: people of whom it holds two records or more.
with
held as (
    select person_id, feed, count(*) as records
    from people
    join link_keys using (record_ref)
    group by person_id, feed
),
known as (
    select feed, count(*) as people
    from held
    group by feed
),
shared as (
    select l.feed as feed_l, r.feed as feed_r, count(*) as people
    from held as l
    join held as r on l.person_id = r.person_id and (l.feed < r.feed or (l.feed = r.feed and l.records > 1))
    group by l.feed, r.feed
)
select
    one.feed as first,
    other.feed as second,
    coalesce(shared.people, 0) as people,
    coalesce(shared.people, 0) / least(one.people, other.people) as share,
from known as one
join known as other on one.feed <= other.feed
left join shared on shared.feed_l = one.feed and shared.feed_r = other.feed
order by first, second

-- part: weights
select floor(match_weight / 2)::integer * 2 as weight, count(*) as pairs
from edges
group by weight
order by weight
