"""The county report's arithmetic: verdicts, intervals, medians, ratios, and errors told from values."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from evaluation.county import errors as county_errors
from evaluation.county.calibration import read_measures, read_wanted, without_measure
from evaluation.county.errors import crude_ratio, rate_ratios
from evaluation.county.figures import (
    FULL_SIZE,
    Estimate,
    Figure,
    Sums,
    Unit,
    Verdict,
    band,
    estimate,
    judged,
    poisson_interval,
    share,
)
from evaluation.county.files import PartnerFile, current_files
from evaluation.county.lead import median, rate_ratio
from evaluation.county.page import SECTIONS, amount


def figure(
    value: float, low: float, high: float, wanted: float = 100.0, *, is_published: bool = True
) -> Figure:
    found = Estimate(value, low, high, 10, 100)
    target = band(wanted, "a test", is_published=is_published)
    return Figure("one", "homes", "One", Unit.NUMBER, found, target, Verdict.SHOWN)


def sums(y: np.ndarray, n: np.ndarray) -> Sums:
    return Sums(y.sum(), n.sum(), (y * y).sum(), (y * n).sum(), (n * n).sum(), len(y))


@pytest.mark.parametrize(
    ("value", "low", "high", "households", "verdict"),
    [
        (100, 99, 101, 5_000, Verdict.HOLDS),
        (80, 60, 105, 5_000, Verdict.HOLDS),  # wide enough to meet 90
        (80, 78, 82, 5_000, Verdict.OFF),
        (80, 75, 85, 5_000, Verdict.OFF),
        (80, 74, 87, 5_000, Verdict.HOLDS),  # widened to 92, since seventy figures are judged at once
        (120, 116, 124, 5_000, Verdict.OFF),
        (88, 85, 91, 5_000, Verdict.HOLDS),
        (88, 85, 91, FULL_SIZE, Verdict.OFF),  # a full county must itself lie in the band
        (91, 80, 102, FULL_SIZE, Verdict.HOLDS),
    ],
)
def test_a_figure_is_off_when_its_interval_and_the_band_do_not_meet(
    value: float, low: float, high: float, households: int, verdict: Verdict
) -> None:
    assert judged(figure(value, low, high), households).verdict is verdict


def test_an_assumed_figure_may_lie_beside_its_band_by_chance_in_a_county_of_any_size() -> None:
    assert judged(figure(88, 85, 91, is_published=False), FULL_SIZE).verdict is Verdict.HOLDS


def test_a_figure_without_a_measure_is_never_said_to_hold() -> None:
    unmeasured = Figure("one", "homes", "One", Unit.SHARE, None, band(0.5, "a test"), Verdict.SHOWN)
    assert judged(unmeasured, FULL_SIZE).verdict is Verdict.NOT_MEASURED


def test_people_of_one_household_count_less_than_as_many_strangers() -> None:
    generator = np.random.default_rng(1)
    moved = (generator.random(400) < 0.3).astype(float)
    strangers = estimate(sums(np.repeat(moved, 3), np.ones(1200)), Unit.SHARE)
    households = estimate(sums(moved * 3, np.full(400, 3.0)), Unit.SHARE)
    assert strangers is not None and households is not None
    assert households.value == pytest.approx(strangers.value)
    ratio = (households.high - households.low) / (strangers.high - strangers.low)
    assert ratio == pytest.approx(np.sqrt(3), rel=0.05)


def test_no_event_in_a_thousand_years_still_leaves_room_for_some() -> None:
    found = estimate(sums(np.zeros(1000), np.ones(1000)), Unit.PER_1000)
    assert found is not None
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(3.69, abs=0.01)  # exact Poisson
    nobody = share(0, 50)
    assert nobody is not None
    assert 0.05 < nobody.high < 0.08


def test_a_rate_has_the_exact_poisson_interval() -> None:
    assert poisson_interval(10) == pytest.approx((4.795, 18.390), abs=0.001)
    events = np.concatenate([np.ones(10), np.zeros(990)])
    found = estimate(sums(events, np.ones(1000)), Unit.PER_1000)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((4.795, 18.390), rel=0.02)


def test_the_median_has_the_interval_of_the_order_of_its_values() -> None:
    found = median(np.arange(101.0))
    assert found is not None
    assert found.value == 50
    assert (found.low, found.high) == (40, 60)
    assert median(np.array([])) is None


def test_help_that_is_offered_to_the_worst_off_looks_harmful_until_like_is_compared_with_like() -> None:
    # Strata of chance 1 % and 20 %; help halves it, and goes mostly to the second.
    counts = np.array([[[10_000, 100], [200, 1]], [[1_000, 200], [1_000, 100]]], dtype=float)
    naive, alike = rate_ratio(counts.sum(axis=0)[None]), rate_ratio(counts)
    assert naive is not None and alike is not None
    assert naive.low > 1.5
    assert alike.value == pytest.approx(0.5, abs=0.01)
    assert alike.high < 0.7


def test_whom_errors_hit_is_found_with_the_other_groups_held_equal() -> None:
    generator = np.random.default_rng(2)
    count = 60_000
    young = generator.random(count) < 0.3
    private = generator.random(count) < np.where(young, 0.5, 0.1)
    other = generator.random((2, count)) < 0.2
    groups = np.column_stack([private, other[0], young, other[1]]).astype(float)
    systems = generator.integers(0, 3, count)
    level = np.array([0.02, 0.05, 0.1])[systems]
    wrong = (generator.random(count) < level * np.exp(0.5 * private + 0.3 * young)).astype(float)
    found = rate_ratios(groups, systems, wrong)
    assert [one.value for one in found if one] == pytest.approx(
        [np.exp(0.5), 1.0, np.exp(0.3), 1.0], rel=0.08
    )
    plain = crude_ratio(wrong[private], wrong[~private])
    assert plain is not None and plain.low > np.exp(0.5)
    assert all(
        one.low <= truth <= one.high
        for one, truth in zip(found, np.exp([0.5, 0, 0.3, 0]), strict=True)
        if one
    )


def test_nothing_wrong_says_nothing_about_whom_errors_hit() -> None:
    groups = np.tile([[1.0, 0.0], [0.0, 1.0]], (50, 1))
    assert rate_ratios(groups, np.zeros(100, dtype=int), np.zeros(100)) == [None, None]


def test_what_a_system_shows_is_its_newest_full_file_and_the_changes_since() -> None:
    from datetime import date

    files = [
        PartnerFile(Path(f"{number}.csv"), date(2025, 1, number), kind, None)
        for number, kind in ((1, "full"), (2, "changes"), (3, "full"), (4, "changes"), (5, "changes"))
    ]
    assert [file.extracted.day for file in current_files(files)] == [3, 4, 5]
    assert current_files(files[1:2]) == files[1:2]


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """The kinds told of each record below, by its key."""
    # key, true forename|middle|surname|later, file forename|surname, true birth, file birth, true NINO, file NINO
    table = """
    clean      Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1970-02-01 AB123456C AB123456C
    case       Margaret|Anne|Okafor|Okafor    MARGARET|OKAFOR   1970-02-01 1970-02-01 AB123456C AB123456C
    married    Margaret|Anne|Okafor|Hughes    Margaret|Hughes   1970-02-01 1970-02-01 AB123456C AB123456C
    initial    Margaret|Anne|Okafor|Okafor    M|Okafor          1970-02-01 1970-02-01 AB123456C AB123456C
    middle     Margaret|Anne|Okafor|Okafor    Anne|Okafor       1970-02-01 1970-02-01 AB123456C AB123456C
    variant    Margaret|Anne|Okafor|Okafor    Maggie|Okafor     1970-02-01 1970-02-01 AB123456C AB123456C
    swapped    Margaret|Anne|Okafor|Okafor    Okafor|Margaret   1970-02-01 1970-02-01 AB123456C AB123456C
    slip       Margaret|Anne|Okafor|Okafor    Margaret|Okafro   1970-02-01 1970-02-01 AB123456C AB123456C
    reader     Margaret|Anne|Okafor|Okafor    Margaret|0kafor   1970-02-01 1970-02-01 AB123456C AB123456C
    accent     Zoë|Anne|Muñoz|Muñoz           Zoe|Munoz         1970-02-01 1970-02-01 AB123456C AB123456C
    hyphen     Zoe|Anne|Hughes-Okafor|Hughes-Okafor  Zoe|Hughes=Okafor 1970-02-01 1970-02-01 AB123456C AB123456C
    half       Zoe|Anne|Hughes-Okafor|Hughes-Okafor  Zoe|Hughes        1970-02-01 1970-02-01 AB123456C AB123456C
    apostrophe Zoe|Anne|O'Neill|O'Neill       Zoe|ONeill        1970-02-01 1970-02-01 AB123456C AB123456C
    born_swap  Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-11 1970-11-02 AB123456C AB123456C
    born_jan   Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-21 1970-01-01 AB123456C AB123456C
    born_year  Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1971-02-01 AB123456C AB123456C
    decade     Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1960-02-01 AB123456C AB123456C
    temporary  Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1970-02-01 AB123456C TN010270F
    transposed Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1970-02-01 AB123456C AB132456C
    partner    Margaret|Anne|Okafor|Okafor    Margaret|Okafor   1970-02-01 1970-02-01 AB123456C QQ999999A
    """
    connection = duckdb.connect(":memory:")
    connection.execute("""
        create table true_people (person_id varchar, forename varchar, middle_name varchar, surname varchar,
            later_surname varchar, date_of_birth date, origin varchar, nino varchar);
        create table drawn (feed varchar, person_id varchar, key varchar, recorded_on date, forename varchar,
            surname varchar, born date, nino varchar, is_unicode boolean, errors bigint, seed varchar, most integer);
        create table variants as select 'Margaret' as forename, 'Maggie' as variant;
        insert into true_people values ('somebody else', 'X', '', 'Y', 'Y', '1980-01-02', 'british', 'QQ999999A');
    """)
    for line in table.strip().splitlines():
        key, true_names, names, born, file_born, nino, file_nino = line.split()
        connection.execute(
            "insert into true_people values (?, ?, ?, ?, ?, ?, 'british', ?)",
            [key, *true_names.split("|"), born, nino],
        )
        forename, surname = names.replace("=", " ").split("|")
        connection.execute(
            "insert into drawn values ('a_feed', ?, ?, '2025-01-01', ?, ?, ?, ?, true, 0, '1', 100)",
            [key, key, forename, surname, file_born, file_nino],
        )
    connection.execute(Path(county_errors.__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    kinds = {kind.name: f"({kind.told}) and ({kind.among})" for kind in county_errors.KINDS}
    found = {
        key: [
            name
            for name, told in kinds.items()
            if connection.execute(
                f"select count(*) from error_kinds where person_id = ? and {told}", [key]
            ).fetchone()
            == (1,)
        ]
        for (key,) in connection.execute("select person_id from drawn").fetchall()
    }
    connection.close()
    return found


@pytest.mark.parametrize(
    ("key", "kinds"),
    [
        ("clean", []),
        ("case", []),
        ("married", []),
        ("initial", ["forename_initial"]),
        ("middle", ["middle_as_first"]),
        ("variant", ["forename_variant"]),
        ("swapped", ["names_swapped"]),
        ("slip", ["text_slip"]),
        ("reader", ["text_slip"]),
        ("accent", ["diacritics_lost"]),
        ("hyphen", ["hyphen_to_space"]),
        ("half", ["half_of_a_double_name"]),
        ("apostrophe", ["apostrophe_lost"]),
        ("born_swap", ["birth_day_month_swapped"]),
        ("born_jan", ["birth_first_of_january"]),
        ("born_year", ["birth_year_off_by_one"]),
        ("decade", ["birth_decade_off"]),
        ("temporary", ["nino_temporary"]),
        ("transposed", ["nino_transposed"]),
        ("partner", ["nino_of_partner"]),
    ],
)
def test_each_kind_of_error_is_told_from_the_values_and_from_no_other(
    told: dict[str, list[str]], key: str, kinds: list[str]
) -> None:
    assert told[key] == kinds


def test_every_measure_has_a_name_of_its_own_and_a_section_on_the_page() -> None:
    measures = read_measures()
    names = [measure.name for measure in measures]
    assert len(set(names)) == len(names)
    assert {measure.group for measure in measures} <= {key for key, *_ in SECTIONS}


def test_no_line_of_the_calibration_table_is_passed_over_in_silence() -> None:
    wanted = read_wanted()
    found = {measure.name: None for measure in read_measures()}
    rest = {figure.name: figure.verdict for figure in without_measure(wanted, found)}  # type: ignore[arg-type]
    assert rest.keys() == wanted.keys() - found.keys()
    assert set(rest.values()) <= {Verdict.NOT_MEASURED}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, Unit.SHARE, "12.3 %"),
        (0.0004, Unit.SHARE, "0.040 %"),
        (1726.4, Unit.POUNDS, "£1,726"),
        (13.21, Unit.PER_1000, "13.2"),
        (0.61, Unit.RATIO, "0.61"),
        (24.5, Unit.WEEKS, "24.5"),
    ],
)
def test_figures_are_written_as_people_read_them(value: float, unit: Unit, text: str) -> None:
    assert amount(value, unit) == text
