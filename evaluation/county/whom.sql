-- Whom errors hit: one row per sampled record, with the groups of the error model on the day of the record.
create table whom as
select
    dense_rank() over (order by kinds.feed) - 1 as system,
    coalesce(stays.tenure = 'private', false) as private_rent,
    coalesce(
        date_diff('day', stays.start_date, kinds.recorded_on) < 365 and stays.start_date > people.date_of_birth + 365,
        false
    ) as moved_within_a_year,
    kinds.age < 30 as under_30,
    kinds.origin <> 'british' as name_not_british,
    is_wrong as wrong
from error_kinds as kinds
inner join true_people as people using (person_id)
asof left join stays on kinds.person_id = stays.person_id and kinds.recorded_on >= stays.start_date
where kinds.has_surname;
