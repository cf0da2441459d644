"""What counts as a right household-month, on a street of three homes."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from evaluation.households import IN_THE_END, _make_views, _model_sql, _right, _rows

# Ann and Ben live at home 1; Cat, who died in May and is still on record, and Dan at home 2; Eve, in no feed, at 3.
STREET = """
create schema truth;
create table truth.persons (person_id varchar, date_of_birth date, died_on date);
insert into truth.persons values
    ('ann', '1970-01-01', null), ('ben', '1970-01-01', null), ('cat', '1940-01-01', '2025-05-20'),
    ('dan', '1970-01-01', null), ('eve', '1970-01-01', null), ('kid', '2015-01-01', null);
create table truth.residences (
    person_id varchar, household_id varchar, uprn bigint, tenure varchar, role varchar, start_date date, end_date date
);
insert into truth.residences values
    ('ann', 'h1', 1, 'owner', 'lead', '2010-01-01', null), ('ben', 'h1', 1, 'owner', 'partner', '2025-04-10', null),
    ('kid', 'h1', 1, 'owner', 'child', '2015-01-01', null),
    ('cat', 'h2', 2, 'owner', 'lead', '2010-01-01', '2025-05-20'),
    ('dan', 'h2', 2, 'owner', 'partner', '2010-01-01', null),
    ('eve', 'h3', 3, 'social', 'lead', '2010-01-01', null);
create table truth.properties as select * from (values ('1', 'p1'), ('2', 'p2'), ('3', 'p3')) as t (uprn, property_ref);
create table truth.of_record as
    select * from (values ('r1', 'ann'), ('r2', 'ben'), ('r3', 'cat'), ('r4', 'dan')) as t (record_ref, person_id);
create table people as
    select * from (values ('r1', 'A'), ('r2', 'B'), ('r3', 'C'), ('r4', 'D')) as t (record_ref, person_id);
create table residences as
select
    month::date as as_of_month, record_ref, person_id, property_ref, start_date::date as start_date,
    null::date as end_date, 'council_tax' as feed, 1970 as year_of_birth, false as is_lead, false as is_child,
    false as is_sighting, known_on::date as known_on, account_ref, false as is_temporary
from (values
    ('2025-05-01', 'r1', 'A', 'p1', '2010-01-01', '2010-02-01', 'a1'),
    ('2025-05-01', 'r3', 'C', 'p2', '2010-01-01', '2010-02-01', 'a2'),
    ('2025-05-01', 'r4', 'D', 'p2', '2010-01-01', '2010-02-01', 'a2'),
    ('2025-06-01', 'r1', 'A', 'p1', '2010-01-01', '2010-02-01', 'a1'),
    ('2025-06-01', 'r2', 'B', 'p1', '2025-04-10', '2025-05-09', 'a1'),
    ('2025-06-01', 'r3', 'C', 'p2', '2010-01-01', '2010-02-01', 'a2'),
    ('2025-06-01', 'r4', 'D', 'p2', '2010-01-01', '2010-02-01', 'a2')
) as t (month, record_ref, person_id, property_ref, start_date, known_on, account_ref);
"""


@pytest.fixture
def street() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute(STREET)
        for model, name in (("int_stays", "stays"), ("int_household_members", "members")):
            connection.execute(f"create table {name} as {_model_sql(model)}")
        _make_views(connection)
        yield connection


def test_a_household_month_is_right_if_exactly_its_adults_are_found(
    street: duckdb.DuckDBPyConnection,
) -> None:
    that_night = _right(street)[0]
    # May: home 1 lacks Ben, home 2 is right. June: home 1 is right, home 2 has Cat too many. Home 3 has nobody found.
    assert (that_night.lag, that_night.household_months) == (0, 6)
    assert (that_night.exact, that_night.with_missing, that_night.with_strangers, that_night.with_both) == (
        2,
        3,
        1,
        0,
    )


def test_what_came_later_counts_for_the_month_it_tells_of(street: duckdb.DuckDBPyConnection) -> None:
    found = {each.lag: each for each in _right(street)}
    assert (found[1].household_months, found[1].exact) == (3, 2)  # May, known in June: Ben is there
    assert found[IN_THE_END].exact == 3


def test_the_ceiling_counts_whom_no_feed_names(street: duckdb.DuckDBPyConnection) -> None:
    ceiling = _rows(street, "ceiling")[0]
    assert ceiling["anywhere"] == pytest.approx(4 / 6)
    assert ceiling["here_that_night"] == pytest.approx(3 / 6)


def test_strangers_are_told_by_what_is_true_of_them(street: duckdb.DuckDBPyConnection) -> None:
    assert _rows(street, "strangers") == [
        {"cause": "dead", "is_home_of_others": True, "adult_months": 1, "people": 1}
    ]


def test_homes_are_judged_by_the_least_sure_of_the_adults_found(street: duckdb.DuckDBPyConnection) -> None:
    street.execute("update members set confidence = 0.98 where person_id = 'B'")
    # Found in May: home 1 without Ben, home 2 as it is; in June: home 1 as it is, home 2 with Cat too many.
    assert _rows(street, "household_confidence") == [
        {"least_stay_confidence": 0.95, "household_months": 4, "right": 0.5}
    ]
