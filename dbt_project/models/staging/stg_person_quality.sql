with

person_quality as (
    -- depends_on: {{ ref('stg_people') }}
    select * from {{ source('records', 'person_quality') }}
)

select
    person_id,
    records,
    identities,
    feeds,
    links,
    density,
    weakest_link,
    confidence,
    refused_links,
from person_quality
