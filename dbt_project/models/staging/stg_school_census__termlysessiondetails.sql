with

versions as (
    select * from {{ source('records', 'school_census__termlysessiondetails') }}
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
    attendancereason as absence_code,
    sessions,
    termstart as term_start_date,
    termend as term_end_date,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
