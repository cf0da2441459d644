-- One row per H-CLIC case with a duty, decided within the deliveries, as the newest file has it.
create view owed_cases as
select *
from files.homelessness_cases__cases
where
    duty_owed <> 'NONE'
    and date_of_assessment >= (select first_day from county)
    and date_of_assessment < (select end_day from county);
