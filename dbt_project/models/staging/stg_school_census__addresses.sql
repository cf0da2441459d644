with

versions as (
    select * from {{ source('records', 'school_census__addresses') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'school_census') | indent(4) }}
)

select
    record_ref,
    pupilonrolltableid_ref as pupil_ref,
    property_ref,
    referencedate as census_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
