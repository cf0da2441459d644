with

versions as (
    select * from {{ source('records', 'school_census__pupilonroll') }}
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
    year_of_birth,
    fsmeligible = 'true' as is_fsm_eligible,
    ncyearactual as year_group,
    entrydate as entry_date,
    term as census,
    referencedate as census_date,
    termlysessionspossible as sessions_possible,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
