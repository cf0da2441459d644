-- Measures of a county, one statement each. A measure returns `cluster` (the household, or what else goes together),
-- `y` and `n`; the figure is sum(y) / sum(n). Headers: measure (name, as in the calibration table where it stands
-- there), group, unit, title; `needs`, the tables or columns without which it is not measured; `about`, what a reader
-- should know. Tables: `truth.<file>`, `files.<feed>__<table>` (what the partners' systems show at the end), and the
-- views of county_truth.sql.

-- measure: persons_per_household
-- group: homes
-- unit: number
-- title: People in a household
select household_id as cluster, count(*) as y, 1 as n from residents group by day, household_id;

-- measure: owner_share
-- group: homes
-- unit: share
-- title: Households who own their home
select household_id as cluster, cast(tenure = 'owner' as int) as y, 1 as n from household_months;

-- measure: private_rent_share
-- group: homes
-- unit: share
-- title: Households who rent from a private landlord
select household_id as cluster, cast(tenure = 'private' as int) as y, 1 as n from household_months;

-- measure: social_rent_share
-- group: homes
-- unit: share
-- title: Households who rent from the council or a housing association
select household_id as cluster, cast(tenure = 'social' as int) as y, 1 as n from household_months;

-- measure: households_with_children_share
-- group: homes
-- unit: share
-- title: Households with a child under 18
select household_id as cluster, cast(bool_or(age < 18) as int) as y, 1 as n from residents group by day, household_id;

-- measure: people_moving_a_year
-- group: homes
-- unit: share
-- title: People who move in a year
-- about: Homes begun in the window by people older than 0, by years lived here.
select household_id as cluster, moves as y, person_years as n from person_years;

-- measure: people_moving_a_year_owner
-- group: homes
-- unit: share
-- title: … of those who own (the home moved to)
select household_id as cluster, moves as y, person_years as n from person_years where tenure = 'owner';

-- measure: people_moving_a_year_private
-- group: homes
-- unit: share
-- title: … of private renters (the home moved to)
select household_id as cluster, moves as y, person_years as n from person_years where tenure = 'private';

-- measure: people_moving_a_year_social
-- group: homes
-- unit: share
-- title: … of social renters (the home moved to)
select household_id as cluster, moves as y, person_years as n from person_years where tenure = 'social';

-- measure: people_elsewhere_a_year_ago
-- group: homes
-- unit: share
-- title: People who lived elsewhere a year ago
-- about: The census question, on the last day of each year of deliveries.
select household_id as cluster, cast(day - start_date < 365 as int) as y, 1 as n from residents where age >= 1;

-- measure: births_per_1000_people_a_year
-- group: homes
-- unit: per 1,000 a year
-- title: Births, by 1,000 people a year
select household_id as cluster, births as y, person_years as n from person_years;

-- measure: deaths_per_1000_people_a_year
-- group: homes
-- unit: per 1,000 a year
-- title: Deaths, by 1,000 people a year
select household_id as cluster, deaths as y, person_years as n from person_years;

-- measure: disabled_share
-- group: homes
-- unit: share
-- title: People who are disabled
-- needs: truth.persons.disabled
select household_id as cluster, cast(persons.disabled as int) as y, 1 as n
from residents inner join truth.persons using (person_id);

-- measure: name_not_british_share
-- group: homes
-- unit: share
-- title: People whose name comes from elsewhere
select household_id as cluster, cast(origin <> 'british' as int) as y, 1 as n from residents;

-- measure: duties_per_1000_households_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: Prevention and relief duties, by 1,000 households a year
select household_id as cluster, 0 as y, 1 / 12 as n from household_months
union all
select household_id, 1, 0 from duties;

-- measure: duties_per_1000_owners_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … households who own
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where tenure = 'owner'
union all
select household_id, 1, 0 from duties where tenure = 'owner';

-- measure: duties_per_1000_private_renters_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … private renters
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where tenure = 'private'
union all
select household_id, 1, 0 from duties where tenure = 'private';

-- measure: duties_per_1000_social_renters_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … social renters
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where tenure = 'social'
union all
select household_id, 1, 0 from duties where tenure = 'social';

-- measure: duties_per_1000_single_people_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … people who live alone
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'single'
union all
select household_id, 1, 0 from duties where type = 'single';

-- measure: duties_per_1000_lone_parents_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … lone parents
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'lone_parent'
union all
select household_id, 1, 0 from duties where type = 'lone_parent';

-- measure: duties_per_1000_couples_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … couples
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'couple'
union all
select household_id, 1, 0 from duties where type = 'couple';

-- measure: duties_per_1000_couples_with_children_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … couples with children
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'couple_children'
union all
select household_id, 1, 0 from duties where type = 'couple_children';

-- measure: duties_per_1000_couples_with_grown_children_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … couples with grown children
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'couple_grown_children'
union all
select household_id, 1, 0 from duties where type = 'couple_grown_children';

-- measure: duties_per_1000_sharers_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … sharers
select household_id as cluster, 0 as y, 1 / 12 as n from household_months where type = 'sharers'
union all
select household_id, 1, 0 from duties where type = 'sharers';

-- measure: relief_duty_share
-- group: homelessness
-- unit: share
-- title: Duties that are relief: the home is lost already
select household_id as cluster, cast(duty = 'RELIEF' as int) as y, 1 as n from duties;

-- measure: duties_with_children_share
-- group: homelessness
-- unit: share
-- title: Duties owed to a household with children
-- needs: truth.events.with_children
select household_id as cluster, cast(with_children as int) as y, 1 as n from duties;

-- measure: files.duties_with_children_share
-- group: homelessness
-- unit: share
-- title: … as the H-CLIC file says
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(number_of_children > 0 as int) as y, 1 as n from owed_cases;

-- measure: end_of_private_tenancy_share
-- group: homelessness
-- unit: share
-- title: Duties after the end of a private tenancy
-- needs: truth.events.reason
select household_id as cluster, cast(reason = 'end_of_private_tenancy' as int) as y, 1 as n from duties;

-- measure: files.end_of_private_tenancy_share
-- group: homelessness
-- unit: share
-- title: … as the H-CLIC file says
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'END_PRIVATE_TENANCY' as int) as y, 1 as n from owed_cases;

-- measure: files.end_of_social_tenancy_share
-- group: homelessness
-- unit: share
-- title: Duties after the end of a social tenancy
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'END_SOCIAL_TENANCY' as int) as y, 1 as n from owed_cases;

-- measure: files.family_exclusion_share
-- group: homelessness
-- unit: share
-- title: Duties after family or friends could no longer have them
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'FAMILY_EXCLUSION' as int) as y, 1 as n from owed_cases;

-- measure: files.domestic_abuse_share
-- group: homelessness
-- unit: share
-- title: Duties after domestic abuse
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'DOMESTIC_ABUSE' as int) as y, 1 as n from owed_cases;

-- measure: files.relationship_breakdown_share
-- group: homelessness
-- unit: share
-- title: Duties after a relationship broke down
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'RELATIONSHIP_BREAKDOWN' as int) as y, 1 as n from owed_cases;

-- measure: files.institution_share
-- group: homelessness
-- unit: share
-- title: Duties after leaving an institution or asylum support
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(main_reason_for_loss = 'INSTITUTION' as int) as y, 1 as n from owed_cases;

-- measure: families_with_support_need_share
-- group: homelessness
-- unit: share
-- title: Families owed a duty who have a support need
-- needs: truth.events.support_need
select household_id as cluster, cast(support_need as int) as y, 1 as n from duties where with_children;

-- measure: files.families_with_support_need_share
-- group: homelessness
-- unit: share
-- title: … as the H-CLIC file says
-- needs: files.homelessness_cases__cases
select case_reference as cluster, cast(support_needs > 0 as int) as y, 1 as n from owed_cases where number_of_children > 0;

-- measure: oracle_top_1_percent_share
-- group: oracle
-- unit: share
-- title: Duties of the next six months in the top 1 % by true chance
select household_id as cluster, cast(place <= 0.01 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_top_2_percent_share
-- group: oracle
-- unit: share
-- title: Duties of the next six months in the top 2 % by true chance
select household_id as cluster, cast(place <= 0.02 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_top_5_percent_share
-- group: oracle
-- unit: share
-- title: Duties of the next six months in the top 5 % by true chance
select household_id as cluster, cast(place <= 0.05 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_observed_over_expected
-- group: oracle
-- unit: ratio
-- title: Duties that came, over those that the oracle expected
-- about: Above 1 the oracle promises too little.
select household_id as cluster, cast(came as int) as y, chance as n from oracle_months;

-- measure: events_with_precursor_6_months_before
-- group: oracle
-- unit: share
-- title: Duties of which a partner knew a sign six months before
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties;

-- measure: precursor_6_months_arrears
-- group: lead
-- unit: share
-- title: A sign known six months before: arrears
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'arrears';

-- measure: precursor_6_months_section_21
-- group: lead
-- unit: share
-- title: A sign known six months before: section 21
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'section_21';

-- measure: precursor_6_months_family_exclusion
-- group: lead
-- unit: share
-- title: A sign known six months before: family exclusion
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'family_exclusion';

-- measure: precursor_6_months_domestic_abuse
-- group: lead
-- unit: share
-- title: A sign known six months before: domestic abuse
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'domestic_abuse';

-- measure: precursor_6_months_institution
-- group: lead
-- unit: share
-- title: A sign known six months before: institution
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'institution';

-- measure: precursor_6_months_other
-- group: lead
-- unit: share
-- title: A sign known six months before: other
select household_id as cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'other';
