with

households as (
    select households.*
    from {{ ref('households') }} as households
    inner join {{ ref('int_as_of_months') }} as months on households.as_of_month = months.as_of_month
),

council_tax as (
    select * from {{ ref('int_household_council_tax') }}
),

rent as (
    select * from {{ ref('int_household_rent') }}
),

earlier_cases as (
    select * from {{ ref('int_household_cases') }}
),

care as (
    select * from {{ ref('int_household_care') }}
),

moves as (
    select * from {{ ref('int_household_moves') }}
),

turnover as (
    select * from {{ ref('int_property_turnover') }}
),

victims as (
    select * from {{ ref('int_household_antisocial_behaviour') }}
),

in_need as (
    select * from {{ ref('int_household_children_in_need') }}
),

early_help as (
    select * from {{ ref('int_household_early_help') }}
),

electors as (
    select * from {{ ref('int_household_electors') }}
),

benefits as (
    select * from {{ ref('int_household_benefits') }}
),

register as (
    select * from {{ ref('int_household_register') }}
),

hub as (
    select * from {{ ref('int_household_hub') }}
),

school as (
    select * from {{ ref('int_household_school') }}
),

other_debts as (
    select * from {{ ref('int_household_sundry_debts') }}
),

small_areas as (
    select * from {{ ref('int_small_area_rates') }}
)

select
    households.household_id::varchar as household_id,
    households.as_of_month::date as as_of_month,
    households.property_ref::varchar as property_ref,
    coalesce(earlier_cases.has_open_case, false)::boolean as has_open_case,

    -- The home and the people in it.
    households.adult_count::integer as adult_count,
    households.known_child_count::integer as known_children,
    (households.adult_count = 1 and households.known_child_count > 0)::boolean as is_likely_lone_parent,
    (year(households.as_of_month) - households.head_year_of_birth)::integer as head_age,
    coalesce(year(households.as_of_month) - households.head_year_of_birth < 35, false)::boolean
        as is_head_under_35,
    households.resident_since::date as resident_since,
    (date_diff('day', households.resident_since, households.as_of_month) / 365.25)::double as years_resident,
    coalesce({{ within_years('households.resident_since', 'households.as_of_month', 1) }}, false)::boolean
        as is_moved_within_12m,
    coalesce(moves.addresses_3y, 1)::integer as addresses_3y,
    coalesce(turnover.occupations_5y, 0)::integer as property_occupations_5y,
    coalesce(households.property_class in ('RD06', 'RI', 'PP'), false)::boolean as is_flat,
    coalesce(small_areas.duties_per_1000_properties, 0)::double as area_duties_per_1000,
    small_areas.imd_decile::integer as area_deprivation_decile,
    small_areas.income_score::double as area_income_deprivation,
    -- No partner names private tenants. Homes that change hands every few years are mostly theirs; homes kept
    -- for long are mostly owned.
    (
        not coalesce(rent.is_social_tenant, false)
        and coalesce(turnover.occupations_5y, 0) >= 2
    )::boolean as is_likely_private_tenant,
    (
        not coalesce(rent.is_social_tenant, false)
        and coalesce(turnover.occupations_5y, 0) <= 1
        and date_diff('day', households.resident_since, households.as_of_month) > 5 * 365.25
    )::boolean as is_likely_settled,

    -- Council tax.
    (strpos('ABCDEFGH', council_tax.band))::integer as council_tax_band,
    coalesce(council_tax.discount_code = 'SPD', false)::boolean as has_single_person_discount,
    coalesce(council_tax.discount_code = 'STU', false)::boolean as has_student_discount,
    coalesce(council_tax.has_council_tax_reduction, false)::boolean as has_council_tax_reduction,
    coalesce(council_tax.outstanding_stage_rank, 0)::integer as council_tax_stage,
    coalesce(council_tax.highest_stage_rank_12m, 0)::integer as council_tax_stage_12m,
    council_tax.last_stage_date::date as council_tax_stage_date,
    date_diff('day', council_tax.last_stage_date, households.as_of_month)::integer
        as days_since_council_tax_stage,
    coalesce(council_tax.outstanding_balance, 0)::double as council_tax_balance,
    -- Old debts linger in the books: recovery that moved within the past months is what presses now.
    coalesce(
        council_tax.outstanding_stage_rank >= 1
        and council_tax.last_stage_date >= households.as_of_month - interval 120 day,
        false
    )::boolean as is_recovery_recent,
    coalesce(
        council_tax.outstanding_stage_rank >= 4
        and council_tax.last_stage_date >= households.as_of_month - interval 180 day,
        false
    )::boolean as is_recovery_live,
    coalesce(council_tax.reminders_12m, 0)::integer as council_tax_reminders_12m,
    council_tax.summons_date::date as summons_date,
    coalesce({{ within_years('council_tax.summons_date', 'households.as_of_month', 1) }}, false)::boolean
        as is_summonsed_12m,
    council_tax.liability_order_date::date as liability_order_date,
    coalesce(
        {{ within_years('council_tax.liability_order_date', 'households.as_of_month', 1) }}, false
    )::boolean as has_liability_order_12m,

    -- Social tenancy and rent.
    coalesce(rent.is_social_tenant, false)::boolean as is_social_tenant,
    rent.weekly_rent::double as weekly_rent,
    coalesce(rent.arrears_balance, 0)::double as rent_arrears_balance,
    coalesce(rent.arrears_in_weeks_of_rent, 0)::double as rent_arrears_in_weeks_of_rent,
    -- Eight weeks of rent: from there a court must grant possession (Housing Act 1988, Schedule 2, Ground 8).
    coalesce(rent.arrears_in_weeks_of_rent > 8, false)::boolean as is_rent_arrears_over_8_weeks,
    coalesce(rent.weeks_in_arrears, 0)::double as weeks_in_rent_arrears,
    rent.arrears_since::date as rent_arrears_since,
    coalesce(rent.arrears_change_13w, 0)::double as rent_arrears_change_13w,
    coalesce(rent.highest_balance_12m, 0)::double as rent_arrears_highest_12m,
    coalesce(rent.letters_12m, 0)::integer as rent_arrears_letters_12m,
    greatest(rent.notice_given_date, rent.notice_to_quit_date)::date as notice_date,
    coalesce(
        {{ within_years(
            'greatest(rent.notice_given_date, rent.notice_to_quit_date)',
            'households.as_of_month',
            1,
        ) }},
        false
    )::boolean as has_notice_12m,
    rent.court_date::date as rent_court_date,
    coalesce({{ within_years('rent.court_date', 'households.as_of_month', 1) }}, false)::boolean
        as has_rent_court_action_12m,

    -- Earlier homelessness.
    coalesce(earlier_cases.cases, 0)::integer as homelessness_cases_3y,
    coalesce(earlier_cases.duties, 0)::integer as homelessness_duties_3y,
    earlier_cases.last_case_date::date as last_case_date,
    date_diff('day', earlier_cases.last_case_date, households.as_of_month)::integer as days_since_last_case,
    coalesce(earlier_cases.support_needs, 0)::integer as recorded_support_needs,
    earlier_cases.number_of_children::integer as recorded_children,
    coalesce(earlier_cases.was_private_tenant, false)::boolean as was_private_tenant_at_case,

    -- Adult social care.
    coalesce(care.care_events_12m, 0)::integer as care_events_12m,
    care.last_care_date::date as last_care_date,
    coalesce(care.safeguarding_24m, 0)::integer as safeguarding_24m,
    care.safeguarding_date::date as safeguarding_date,
    date_diff('day', care.safeguarding_date, households.as_of_month)::integer as days_since_safeguarding,
    coalesce(care.domestic_abuse_24m, 0)::integer as domestic_abuse_24m,
    care.domestic_abuse_date::date as domestic_abuse_date,
    date_diff('day', care.domestic_abuse_date, households.as_of_month)::integer as days_since_domestic_abuse,
    coalesce(care.mental_health_24m, 0)::integer as mental_health_24m,
    care.mental_health_date::date as mental_health_date,
    date_diff('day', care.mental_health_date, households.as_of_month)::integer as days_since_mental_health,
    coalesce(care.is_unsettled, false)::boolean as is_unsettled_in_care_records,
    coalesce(care.is_private_tenant, false)::boolean as is_private_tenant_in_care_records,
    coalesce(care.is_owner, false)::boolean as is_owner_in_care_records,

    -- Victims of antisocial behaviour.
    coalesce(victims.incidents_12m, 0)::integer as antisocial_behaviour_incidents_12m,
    coalesce(victims.incidents_24m, 0)::integer as antisocial_behaviour_incidents_24m,
    victims.incident_date::date as antisocial_behaviour_date,
    date_diff('day', victims.incident_date, households.as_of_month)::integer
        as days_since_antisocial_behaviour,

    -- Children's social care.
    coalesce(in_need.children_in_need > 0, false)::boolean as has_child_in_need,
    coalesce(in_need.children_on_plan > 0, false)::boolean as has_child_on_protection_plan,
    in_need.referral_date::date as child_in_need_referral_date,
    date_diff('day', in_need.referral_date, households.as_of_month)::integer
        as days_since_child_in_need_referral,

    -- Early help and the multi-agency safeguarding hub (MASH).
    coalesce(early_help.is_open, false)::boolean as has_early_help,
    early_help.episode_date::date as early_help_date,
    coalesce(early_help.is_youth_justice, false)::boolean as has_youth_justice_episode_24m,
    coalesce(early_help.is_for_housing, false)::boolean as is_early_help_for_housing_24m,
    coalesce(early_help.contacts_12m, 0)::integer as mash_contacts_12m,
    early_help.contact_date::date as mash_contact_date,
    date_diff('day', early_help.contact_date, households.as_of_month)::integer as days_since_mash_contact,
    coalesce(early_help.domestic_abuse_contacts_24m, 0)::integer as mash_domestic_abuse_contacts_24m,
    early_help.domestic_abuse_contact_date::date as mash_domestic_abuse_contact_date,
    date_diff('day', early_help.domestic_abuse_contact_date, households.as_of_month)::integer
        as days_since_mash_domestic_abuse_contact,

    -- Electoral register.
    (
        electors.electors is null and count(electors.electors) over (partition by households.as_of_month) > 0
    )::boolean as is_absent_from_electoral_register,
    electors.registered_since::date as electoral_registration_date,
    coalesce(date_diff('day', electors.registered_since, households.as_of_month) / 365.25, 0)::double
        as years_on_electoral_register,

    -- Housing benefit and council tax reduction.
    coalesce(benefits.is_in_payment, false)::boolean as is_housing_benefit_in_payment,
    coalesce(benefits.is_reduction_only, false)::boolean as is_council_tax_reduction_only,
    coalesce(benefits.is_private_tenant, false)::boolean as is_private_tenant_in_benefit_records,
    benefits.application_date::date as benefit_application_date,
    date_diff('day', benefits.application_date, households.as_of_month)::integer
        as days_since_benefit_application,
    coalesce(greatest(benefits.rent_over_allowance, 0), 0)::double as rent_over_local_housing_allowance,
    coalesce(benefits.rent_over_allowance > 25, false)::boolean as is_rent_over_local_housing_allowance,
    coalesce(benefits.is_capped, false)::boolean as is_benefit_capped,
    coalesce(benefits.is_suspended, false)::boolean as is_benefit_suspended,
    coalesce(benefits.has_discretionary_payment, false)::boolean as has_discretionary_housing_payment,

    -- Housing register.
    coalesce(register.band is not null, false)::boolean as is_on_housing_register,
    coalesce(6 - strpos('ABCDE', register.band), 0)::integer as housing_register_priority,
    register.application_date::date as housing_register_application_date,
    date_diff('day', register.application_date, households.as_of_month)::integer
        as days_since_housing_register_application,
    coalesce(register.is_home_at_risk, false)::boolean as is_home_at_risk_on_register,

    -- Homes and Money hub. It helps those at risk first, so no sign is known beforehand.
    coalesce(hub.offers_24m, 0)::integer as hub_offers_24m,
    hub.offered_date::date as hub_offer_date,
    date_diff('day', hub.offered_date, households.as_of_month)::integer as days_since_hub_offer,
    coalesce(hub.is_accepted, false)::boolean as is_hub_help_accepted_24m,
    coalesce(hub.is_helped_now, false)::boolean as is_hub_helping,

    -- School.
    coalesce(school.pupils, 0)::integer as pupils,
    coalesce(school.is_fsm_eligible, false)::boolean as is_free_school_meals_eligible,
    school.census_date::date as school_census_date,
    coalesce(school.absence_rate, 0)::double as school_absence_rate,
    coalesce(school.absence_rate >= 0.1, false)::boolean as has_persistent_absence,
    coalesce(school.exclusions_12m, 0)::integer as school_exclusions_12m,

    -- Other debts to the council.
    coalesce(other_debts.balance, 0)::double as sundry_debt_balance,
    coalesce(other_debts.debts, 0)::integer as sundry_debts,
    coalesce(other_debts.has_former_tenancy_arrears, false)::boolean as has_former_tenancy_arrears,
    coalesce(other_debts.is_in_legal_recovery, false)::boolean as is_sundry_debt_in_legal_recovery,
    other_debts.stage_date::date as sundry_debt_stage_date,
from households
left join council_tax
    on
        households.as_of_month = council_tax.as_of_month
        and households.household_id = council_tax.household_id
left join rent
    on
        households.as_of_month = rent.as_of_month
        and households.household_id = rent.household_id
left join earlier_cases
    on
        households.as_of_month = earlier_cases.as_of_month
        and households.household_id = earlier_cases.household_id
left join care
    on
        households.as_of_month = care.as_of_month
        and households.household_id = care.household_id
left join moves
    on
        households.as_of_month = moves.as_of_month
        and households.household_id = moves.household_id
left join turnover
    on
        households.as_of_month = turnover.as_of_month
        and households.property_ref = turnover.property_ref
left join small_areas
    on
        households.as_of_month = small_areas.as_of_month
        and households.lsoa_code = small_areas.lsoa_code
left join victims
    on
        households.as_of_month = victims.as_of_month
        and households.household_id = victims.household_id
left join in_need
    on
        households.as_of_month = in_need.as_of_month
        and households.household_id = in_need.household_id
left join early_help
    on
        households.as_of_month = early_help.as_of_month
        and households.household_id = early_help.household_id
left join electors
    on
        households.as_of_month = electors.as_of_month
        and households.household_id = electors.household_id
left join benefits
    on
        households.as_of_month = benefits.as_of_month
        and households.household_id = benefits.household_id
left join register
    on
        households.as_of_month = register.as_of_month
        and households.household_id = register.household_id
left join hub
    on
        households.as_of_month = hub.as_of_month
        and households.household_id = hub.household_id
left join school
    on
        households.as_of_month = school.as_of_month
        and households.household_id = school.household_id
left join other_debts
    on
        households.as_of_month = other_debts.as_of_month
        and households.household_id = other_debts.household_id
