with

versions as (
    select * from {{ source('records', 'homelessness_cases__cases') }}
),

deliveries as (
    select * from {{ source('records', 'deliveries') }}
),

known as (
    {{ known_versions('versions', 'deliveries', 'homelessness_cases') | indent(4) }}
)

select
    record_ref,
    case_reference as case_ref,
    date_of_application as application_date,
    date_of_assessment as assessment_date,
    -- The duty is owed from the day of the decision; where that day is not given, from the application.
    coalesce(date_of_assessment, date_of_application) as duty_date,
    duty_owed,
    coalesce(duty_owed in ('PREVENTION', 'RELIEF'), false) as is_duty_owed,
    year_of_birth,
    property_ref,
    number_of_children,
    main_reason_for_loss,
    accommodation,
    support_needs,
    delivery_id,
    delivery_date,
    received_date,
    superseded_on,
from known
