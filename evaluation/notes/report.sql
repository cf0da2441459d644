-- Labels and mentions of concepts, matched where they speak of one concept and share a character of the text.
-- Reads: labels (note, concept, polarity, start, end), mentions (note, concept, polarity, start, end).
with

numbered_labels as (
    select
        *,
        row_number() over (order by note, start, "end", concept, polarity) as label
    from labels
),

numbered_mentions as (
    select
        *,
        row_number() over (order by note, start, "end", concept, polarity) as mention
    from mentions
),

matched as (
    select
        said.label,
        found.mention,
        said.polarity = found.polarity as same_polarity,
        found.polarity as found_polarity,
    from numbered_labels as said
    inner join numbered_mentions as found
        on
            said.note = found.note
            and said.concept = found.concept
            and said.start < found."end"
            and found.start < said."end"
),

-- A label that several mentions share has the right polarity if one of them has it.
judged_labels as (
    select
        said.concept,
        said.polarity,
        count(matched.mention) > 0 as found,
        coalesce(bool_or(matched.same_polarity), false) as same_polarity,
        coalesce(
            bool_or((matched.found_polarity = 'denied') = (said.polarity = 'denied')), false
        ) as same_denial,
    from numbered_labels as said
    left join matched on said.label = matched.label
    group by said.label, said.concept, said.polarity
),

judged_mentions as (
    select
        found.concept,
        count(*) filter (where not exists (
            select 1 from matched
            where matched.mention = found.mention
        )) as unfounded,
    from numbered_mentions as found
    group by found.concept
),

of_labels as (
    select
        concept,
        count(*) as labels,
        count(*) filter (where found) as found,
        count(*) filter (where same_polarity) as same_polarity,
        count(*) filter (where same_denial) as same_denial,
    from judged_labels
    group by concept
)

select
    coalesce(of_labels.concept, judged_mentions.concept) as concept,
    coalesce(of_labels.labels, 0) as labels,
    coalesce(of_labels.found, 0) as found,
    coalesce(of_labels.same_polarity, 0) as same_polarity,
    coalesce(of_labels.same_denial, 0) as same_denial,
    coalesce(judged_mentions.unfounded, 0) as unfounded,
from of_labels
full outer join judged_mentions on of_labels.concept = judged_mentions.concept
order by concept
