-- Measures of a county, one statement each. A measure returns `cluster` (the household, or what else goes together),
-- `y` and `n`; the figure is sum(y) / sum(n). Headers: measure (name, as in the calibration table where it stands
-- there), group, unit, title; `needs`, the tables or columns without which it is not measured; `about`, what a reader
-- should know. Tables: `truth.<file>`, `files.<feed>__<table>` (what the partners' systems show at the end), and the
-- views of county_truth.sql and county_files.sql.

-- measure: persons_per_household
-- group: homes
-- unit: number
-- title: People in a household
select cluster, count(*) as y, 1 as n from residents group by day, cluster;

-- measure: owner_share
-- group: homes
-- unit: share
-- title: Households who own their home
select cluster, years * cast(tenure = 'owner' as int) as y, years as n from household_years;

-- measure: private_rent_share
-- group: homes
-- unit: share
-- title: Households who rent from a private landlord
select cluster, years * cast(tenure = 'private' as int) as y, years as n from household_years;

-- measure: social_rent_share
-- group: homes
-- unit: share
-- title: Households who rent from the council or a housing association
select cluster, years * cast(tenure = 'social' as int) as y, years as n from household_years;

-- measure: households_with_children_share
-- group: homes
-- unit: share
-- title: Households with a child under 18
select cluster, cast(bool_or(age < 18) as int) as y, 1 as n from residents group by day, cluster;

-- measure: people_moving_a_year
-- group: homes
-- unit: share
-- title: People who move in a year
-- about: Homes begun in the window by people older than 0, by years lived here.
select cluster, moves as y, person_years as n from person_years;

-- measure: people_moving_a_year_owner
-- group: homes
-- unit: share
-- title: … of those who own (the home moved to)
select cluster, moves as y, person_years as n from person_years where tenure = 'owner';

-- measure: people_moving_a_year_private
-- group: homes
-- unit: share
-- title: … of private renters (the home moved to)
select cluster, moves as y, person_years as n from person_years where tenure = 'private';

-- measure: people_moving_a_year_social
-- group: homes
-- unit: share
-- title: … of social renters (the home moved to)
select cluster, moves as y, person_years as n from person_years where tenure = 'social';

-- measure: people_elsewhere_a_year_ago
-- group: homes
-- unit: share
-- title: People who lived elsewhere a year ago
-- about: The census question, on the last day of each year of deliveries.
select cluster, cast(day - start_date < 365 as int) as y, 1 as n from residents where age >= 1;

-- measure: births_per_1000_people_a_year
-- group: homes
-- unit: per 1,000 a year
-- title: Births, by 1,000 people a year
select cluster, births as y, person_years as n from person_years;

-- measure: deaths_per_1000_people_a_year
-- group: homes
-- unit: per 1,000 a year
-- title: Deaths, by 1,000 people a year
select cluster, deaths as y, person_years as n from person_years;

-- measure: disabled_share
-- group: homes
-- unit: share
-- title: People who are disabled
-- needs: truth.persons.disabled
select residents.cluster, cast(persons.disabled as int) as y, 1 as n
from residents inner join truth.persons using (person_id);

-- measure: name_not_british_share
-- group: homes
-- unit: share
-- title: People whose name comes from elsewhere
select cluster, cast(origin <> 'british' as int) as y, 1 as n from residents;

-- measure: duties_per_1000_households_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: Prevention and relief duties, by 1,000 households a year
select cluster, 0 as y, years as n from household_years
union all
select cluster, 1, 0 from duties;

-- measure: duties_per_1000_owners_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … households who own
select cluster, 0 as y, years as n from household_years where tenure = 'owner'
union all
select cluster, 1, 0 from duties where tenure = 'owner';

-- measure: duties_per_1000_private_renters_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … private renters
select cluster, 0 as y, years as n from household_years where tenure = 'private'
union all
select cluster, 1, 0 from duties where tenure = 'private';

-- measure: duties_per_1000_social_renters_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … social renters
select cluster, 0 as y, years as n from household_years where tenure = 'social'
union all
select cluster, 1, 0 from duties where tenure = 'social';

-- measure: duties_per_1000_lone_parents_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … lone parents
-- needs: truth.hazard.lone_parent
select cluster, 0 as y, years as n from household_years where lone_parent
union all
select cluster, 1, 0 from duties where lone_parent;

-- measure: duties_per_1000_other_families_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … other families with children
-- needs: truth.hazard.lone_parent
select cluster, 0 as y, years as n from household_years where with_children and not lone_parent
union all
select cluster, 1, 0 from duties where with_children and not lone_parent;

-- measure: duties_per_1000_without_children_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … households without children
-- needs: truth.hazard.lone_parent
-- about: A grown child who must leave a family counts here, the family does not.
select cluster, 0 as y, years as n from household_years where not with_children
union all
select cluster, 1, 0 from duties where not with_children;

-- measure: duties_per_1000_single_people_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … households that came as one person
select cluster, 0 as y, years as n from household_years where type = 'single'
union all
select cluster, 1, 0 from duties where type = 'single';

-- measure: duties_per_1000_couples_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … that came as a couple
select cluster, 0 as y, years as n from household_years where type = 'couple'
union all
select cluster, 1, 0 from duties where type = 'couple';

-- measure: duties_per_1000_couples_with_grown_children_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … that came as a couple with grown children
select cluster, 0 as y, years as n from household_years where type = 'couple_grown_children'
union all
select cluster, 1, 0 from duties where type = 'couple_grown_children';

-- measure: duties_per_1000_sharers_a_year
-- group: homelessness
-- unit: per 1,000 a year
-- title: … that came as sharers
select cluster, 0 as y, years as n from household_years where type = 'sharers'
union all
select cluster, 1, 0 from duties where type = 'sharers';

-- measure: relief_duty_share
-- group: homelessness
-- unit: share
-- title: Duties that are relief: the home is lost already
select cluster, cast(duty = 'RELIEF' as int) as y, 1 as n from duties;

-- measure: duties_with_children_share
-- group: homelessness
-- unit: share
-- title: Duties owed to a household with children
-- needs: truth.events.with_children
select cluster, cast(with_children as int) as y, 1 as n from duties;

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
select cluster, cast(reason = 'end_of_private_tenancy' as int) as y, 1 as n from duties;

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
select cluster, cast(support_need as int) as y, 1 as n from duties where with_children;

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
select cluster, cast(place <= 0.01 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_top_2_percent_share
-- group: oracle
-- unit: share
-- title: Duties of the next six months in the top 2 % by true chance
select cluster, cast(place <= 0.02 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_top_5_percent_share
-- group: oracle
-- unit: share
-- title: Duties of the next six months in the top 5 % by true chance
select cluster, cast(place <= 0.05 as int) as y, 1 as n from oracle_months where came;

-- measure: oracle_observed_over_expected
-- group: oracle
-- unit: ratio
-- title: Duties that came, over those that the oracle expected
-- about: Above 1 the oracle promises too little.
select cluster, cast(came as int) as y, chance as n from oracle_months;

-- measure: events_with_precursor_6_months_before
-- group: oracle
-- unit: share
-- title: Duties of which a partner knew a sign six months before
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties;

-- measure: precursor_6_months_arrears
-- group: lead
-- unit: share
-- title: A sign known six months before: arrears
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'arrears';

-- measure: precursor_6_months_section_21
-- group: lead
-- unit: share
-- title: A sign known six months before: section 21
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'section_21';

-- measure: precursor_6_months_family_exclusion
-- group: lead
-- unit: share
-- title: A sign known six months before: family exclusion
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'family_exclusion';

-- measure: precursor_6_months_domestic_abuse
-- group: lead
-- unit: share
-- title: A sign known six months before: domestic abuse
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'domestic_abuse';

-- measure: precursor_6_months_institution
-- group: lead
-- unit: share
-- title: A sign known six months before: institution
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'institution';

-- measure: precursor_6_months_other
-- group: lead
-- unit: share
-- title: A sign known six months before: other
select cluster, cast(precursor_6_months as int) as y, 1 as n from duties where route = 'other';

-- measure: oracle_financial_top_1_percent_share
-- group: oracle
-- unit: share
-- title: Top 1 % by true chance: liability orders and rent arrears over eight weeks
-- needs: truth.financial_hazard
select cluster, cast(place <= 0.01 as int) as y, 1 as n from financial_months where came;

-- measure: oracle_financial_observed_over_expected
-- group: oracle
-- unit: ratio
-- title: Came over expected: liability orders and rent arrears over eight weeks
-- needs: truth.financial_hazard
select cluster, cast(came as int) as y, chance as n from financial_months;

-- measure: oracle_victim_top_1_percent_share
-- group: oracle
-- unit: share
-- title: Top 1 % by true chance: further antisocial incidents of those who were victims
-- needs: truth.victim_hazard
select cluster, cast(place <= 0.01 as int) as y, 1 as n from victim_months where came;

-- measure: oracle_victim_observed_over_expected
-- group: oracle
-- unit: ratio
-- title: Came over expected: further antisocial incidents of those who were victims
-- needs: truth.victim_hazard
select cluster, cast(came as int) as y, chance as n from victim_months;

-- measure: rent_over_allowance_by_25_share
-- group: money
-- unit: share
-- title: Private renters whose rent is more than £25 a week over the allowance
-- needs: truth.allowances
select homes.cluster, cast(weekly_rent - allowance > 25 as int) as y, 1 as n
from homes_at as homes inner join truth.allowances using (uprn)
where homes.tenure = 'private';

-- measure: rent_arrears_social
-- group: money
-- unit: share
-- title: Rent arrears now or in the past year: social renters
-- needs: truth.arrears
select homes.cluster, cast(arrears.household_id is not null as int) as y, 1 as n
from homes_at as homes
left join (select distinct day, household_id from arrears_within_a_year where on_rent) as arrears using (day, household_id)
where homes.tenure = 'social';

-- measure: rent_arrears_private
-- group: money
-- unit: share
-- title: Rent arrears now or in the past year: private renters
-- needs: truth.arrears
select homes.cluster, cast(arrears.household_id is not null as int) as y, 1 as n
from homes_at as homes
left join (select distinct day, household_id from arrears_within_a_year where on_rent) as arrears using (day, household_id)
where homes.tenure = 'private';

-- measure: private_renters_on_universal_credit
-- group: money
-- unit: share
-- title: Private renters on universal credit
-- needs: truth.benefits
select cluster, cast(universal_credit as int) as y, 1 as n from claims_at where tenure = 'private';

-- measure: social_renters_on_universal_credit
-- group: money
-- unit: share
-- title: Social renters on universal credit
-- needs: truth.benefits
select cluster, cast(universal_credit as int) as y, 1 as n from claims_at where tenure = 'social';

-- measure: households_on_housing_benefit
-- group: money
-- unit: share
-- title: Households on housing benefit
-- needs: truth.benefits
select cluster, cast(housing_benefit as int) as y, 1 as n from claims_at;

-- measure: households_capped_share
-- group: money
-- unit: share
-- title: Claims that the benefit cap cuts
-- needs: truth.benefits
select household_id as cluster, cast(capped as int) as y, 1 as n from truth.benefits where coalesce(end_date, date '2099-12-31') >= (select first_day from county);

-- measure: job_losses_per_1000_households_a_year
-- group: money
-- unit: per 1,000 a year
-- title: Households who lose a job, by 1,000 a year
-- needs: truth.job_losses
select cluster, 0 as y, years as n from household_years
union all
select hash(household_id), 1, 0 from truth.job_losses
where start_date >= (select first_day from county) and start_date < (select end_day from county);

-- measure: adults_behind_with_council_tax
-- group: money
-- unit: share
-- title: Adults who fell behind with council tax within a year
-- needs: truth.council_tax_debts
select residents.cluster, cast(debts.household_id is not null as int) as y, 1 as n
from residents
left join debts_within_a_year as debts using (day, household_id)
where residents.age >= 18;

-- measure: council_tax_collected
-- group: money
-- unit: share
-- title: Council tax collected in its year
-- needs: files.council_tax__recovery_stages
-- about: Due after discounts and reduction, for the days occupied; owed on 31 March by open accounts in recovery, at most a year's bill each.
select account_ref as cluster, bill - owed as y, bill as n from council_tax_year;

-- measure: council_tax_mean_debt
-- group: money
-- unit: pounds
-- title: Mean council tax debt of those in debt
-- needs: files.council_tax__recovery_stages
select account_ref as cluster, balance as y, 1 as n from council_tax_debtors;

-- measure: hub_offers_per_1000_households_a_year
-- group: money
-- unit: per 1,000 a year
-- title: Offers of the Homes and Money hub, by 1,000 households a year
-- needs: truth.interventions
select cluster, 0 as y, years as n from household_years
union all
select hash(household_id), 1, 0 from truth.interventions
where offered_date >= (select first_day from county) and offered_date < (select end_day from county);

-- measure: hub_offers_accepted_share
-- group: money
-- unit: share
-- title: Offers of the hub that were accepted
-- needs: truth.interventions
select household_id as cluster, cast(accepted as int) as y, 1 as n from truth.interventions;

-- measure: children_in_need_share
-- group: children
-- unit: share
-- title: Children in need
-- needs: truth.in_need
select residents.cluster, cast(spells.person_id is not null as int) as y, 1 as n
from residents
left join in_need_at as spells using (day, person_id)
where residents.age < 18;

-- measure: persistent_absence_share
-- group: children
-- unit: share
-- title: Pupils persistently absent
-- needs: truth.absence
select residents.cluster, cast(spells.person_id is not null as int) as y, 1 as n
from residents
left join absence_at as spells using (day, person_id)
where residents.age >= 5 and residents.age < 16;

-- measure: free_school_meals_share
-- group: children
-- unit: share
-- title: Pupils entitled to free school meals
-- needs: truth.households.free_school_meals
select residents.cluster, cast(households.free_school_meals as int) as y, 1 as n
from residents inner join truth.households using (household_id)
where age >= 5 and age < 16;

-- measure: electoral_register.private_renters_absent
-- group: missing
-- unit: share
-- title: Adults renting privately who are not on the electoral register at their home
-- needs: files.electoral_register__electors
-- about: Of those with a vote, who are expected by name origin: the truth does not hold nationality. Mean over the days that the newest full file and its changes tell.
select cluster, votes - here as y, votes as n from voters where tenure = 'private';

-- measure: electoral_register.owner_absent
-- group: missing
-- unit: share
-- title: … owner occupiers
-- needs: files.electoral_register__electors
select cluster, votes - here as y, votes as n from voters where tenure = 'owner';

-- measure: electoral_register.social_absent
-- group: missing
-- unit: share
-- title: … social renters
-- needs: files.electoral_register__electors
select cluster, votes - here as y, votes as n from voters where tenure = 'social';

-- measure: electoral_register.here_share
-- group: missing
-- unit: share
-- title: People on the register who are so at their present home
-- needs: files.electoral_register__electors
-- about: The rest are held where they lived before.
select cluster, here as y, on_register as n from voters;

-- measure: deceased_not_closed.council_tax
-- group: errors
-- unit: share
-- title: Council tax: accounts of the dead still open after half a year
-- needs: files.council_tax__accounts
-- about: Assumed in the error model: 15 % of deaths are never heard of. Only accounts that a change after the death could close.
select dead.person_id as cluster, cast(accounts.vacation_date is null as int) as y, 1 as n
from dead inner join account_people as accounts using (person_id);
