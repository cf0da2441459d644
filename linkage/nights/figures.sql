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

-- part: people_by_feed
select feed, count(distinct person_id) as people
from people
join link_keys using (record_ref)
group by feed
order by feed

-- part: weights
-- Linked pairs by the feed of either end, in steps of four bits; a pair between two feeds counts in both.
with
ended as (
    select l.feed as feed_l, r.feed as feed_r, floor(match_weight / 4)::integer * 4 as weight
    from edges
    join link_keys as l on l.record_ref = record_ref_l
    join link_keys as r on r.record_ref = record_ref_r
)
select feed, weight, count(*) as pairs
from (
    select feed_l as feed, weight from ended
    union all
    select feed_r as feed, weight from ended where feed_l <> feed_r
    union all
    select '' as feed, weight from ended
)
group by feed, weight
order by feed, weight
