-- What kinds of error each sampled record shows, told from its values beside the true person's. Names are compared
-- without case, accents and other marks.
create macro without_marks(name) as strip_accents(translate(name, 'łŁøØıđĐ', 'lLoOidD'));
create macro plain_name(name) as lower(trim(without_marks(name)));
create macro squeezed(name) as regexp_replace(name, '[^a-z0-9]', '', 'g');

create table forename_variants as
select distinct
    plain_name(forename) as forename,
    plain_name(variant) as variant
from variants;

-- One record of each person in each system, at most so many people of each: at random, but from the seed.
create table error_sample as
with one_each as (
    select *
    from drawn
    qualify row_number() over (partition by feed, person_id order by hash(key || seed), key) = 1
)
select *
from one_each
qualify row_number() over (partition by feed order by hash(person_id || feed || seed), person_id) <= most;

-- One row per record of the sample.
create table error_kinds as
with
plain as (
    select
        sample.*,
        plain_name(sample.forename) as f,
        plain_name(sample.surname) as s,
        plain_name(person.forename) as true_f,
        plain_name(person.middle_name) as true_m,
        plain_name(person.surname) as true_s,
        plain_name(person.later_surname) as true_l,
        person.surname as marked_s,
        person.forename as marked_f,
        person.later_surname = person.surname as keeps_surname,
        person.date_of_birth as true_born,
        date_diff('day', person.date_of_birth, sample.recorded_on) / 365.25 as age,
        person.origin,
        person.nino as true_nino
    from error_sample as sample
    inner join true_people as person using (person_id)
),
names as (
    select
        plain.*,
        coalesce(f in (true_s, true_l) and s = true_f and true_f not in (true_s, true_l), false) as swapped,
        coalesce(length(f) = 1 and length(true_f) > 1 and f = true_f[1], false) as initial,
        coalesce(f = true_m and true_m <> true_f, false) as middle,
        coalesce(f <> true_f and variants.variant is not null, false) as variant,
        coalesce(
            f <> true_f and length(f) > 1 and variants.variant is null and f <> true_m
            and damerau_levenshtein(f, true_f) <= 2,
            false
        ) as forename_slip,
        coalesce(
            s not in (true_s, true_l)
            and squeezed(s) not in (squeezed(true_s), squeezed(true_l))
            and s <> split_part(true_s, '-', 1)
            and least(
                damerau_levenshtein(squeezed(s), squeezed(true_s)), damerau_levenshtein(squeezed(s), squeezed(true_l))
            ) <= 2,
            false
        ) as surname_slip
    from plain
    left join forename_variants as variants on variants.forename = true_f and variants.variant = f
)
select
    feed,
    names.person_id,
    recorded_on,
    is_unicode,
    age,
    names.origin,
    errors,
    f is not null and f <> '' as has_forename,
    s is not null and s <> '' as has_surname,
    born is not null as has_born,
    names.nino is not null as has_nino,
    swapped,
    initial and not swapped as initial,
    middle and not swapped as middle,
    variant and not swapped and not middle and not initial as variant,
    (forename_slip or surname_slip) and not swapped as slip,
    keeps_surname and marked_s like '%-%' and not swapped as has_hyphen,
    s = replace(true_s, '-', ' ') as hyphen_to_space,
    s = split_part(true_s, '-', 1) as half_name,
    keeps_surname and marked_s like '%''%' and not swapped as has_apostrophe,
    names.surname not like '%''%' as apostrophe_lost,
    keeps_surname and without_marks(marked_s) <> marked_s and not swapped as has_mark,
    without_marks(names.surname) = names.surname as marks_lost,
    coalesce(
        day(true_born) <= 12 and born <> true_born and born = make_date(year(true_born), least(day(true_born), 12), month(true_born)),
        false
    ) as born_swapped,
    coalesce(born <> true_born and born = make_date(year(true_born), 1, 1), false) as born_january,
    coalesce(
        month(born) = month(true_born) and day(born) = day(true_born) and abs(year(born) - year(true_born)) = 1, false
    ) as born_year,
    coalesce(
        month(born) = month(true_born) and day(born) = day(true_born) and year(true_born) - year(born) = 10, false
    ) as born_decade,
    coalesce(names.nino like 'TN%', false) as nino_temporary,
    -- Two neighbouring digits, exchanged.
    coalesce(
        names.nino <> true_nino and damerau_levenshtein(names.nino, true_nino) = 1
        and list_sort(string_split(names.nino, '')) = list_sort(string_split(true_nino, '')),
        false
    ) as nino_transposed,
    coalesce(names.nino <> true_nino and others.person_id is not null, false) as nino_of_other
from names
left join true_people as others on nullif(names.nino, names.true_nino) = others.nino;
