"""What Splink compares: name filters by Hamming distance, tokens by equality. Link keys only, never an
attribute.

The same comparisons serve the county and every foreign data set that linkage is evaluated on; only the
weights differ.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

import splink.comparison_level_library as cll
import splink.comparison_library as cl
from splink.internals.comparison_creator import ComparisonCreator
from splink.internals.comparison_level_creator import ComparisonLevelCreator

from exchange.link_key_schema import FILTER_BITS, FILTER_COLUMNS, TOKEN_COLUMNS
from governance.identifier_quality import read_identifier_quality

NAME_DISTANCES = (0.17, 0.26, 0.335, 0.385, 0.43, 0.46, 0.475)
"""Share of differing filter bits that separates the levels of the name comparison. Names that have a share J of their
bigrams in common differ in (1 - J^3) / 2 of the bits, give or take 0.016: 0.43 is J = 0.52, about a forename cut to
its initial; beyond 0.46 strangers begin (half of the bits differ).
"""


# Set in review, since training takes name and home for independent, and relatives at one property are not: of pairs
# there whose forenames differ, those with a bare initial were one person in 96 of 100 counted on the synthetic
# county, those with two whole forenames in 60 of 100, those with another initial in 18 of 100.
MATCHES_WITH_BARE_INITIAL = 0.08
MATCHES_WITH_ANOTHER_FORENAME = 0.008
MATCHES_WITH_ANOTHER_INITIAL = 0.005

# Set in review: one person in fifty goes by a middle name in some system. Where homes agree as well, most such
# pairs are one person; sons who bear their father's name are kept apart by what their partners hold of both.
MATCHES_BY_MIDDLE_NAME = 0.02
MATCHES_BY_MIDDLE_NAME_AT_HOME = 0.15


RARE_STARTS = (0.385, 0.43, 0.46)
"""Bands of near names that weigh more where both names start as few others do (three letters of one, four of the
other), and less where many do. Nearer names have shown enough; whole names have a rarity of their own."""

RARITY_OF_STARTS = 0.5
"""Of the bits that rarity would give: names that are only near may have other starts."""

USUAL_START = 1e-5
MATCHES_BY_STARTS_ALONE = 1e-3
"""A start that one in 100,000 has weighs nothing either way. Starts alone, in names whose filters say little, were
those of one person in 55 of 56 compared pairs (12,000 households, seed 7)."""

LOOSELY_HELD = "_loosely_held"
"""End of the name of a comparison that speaks where one of two feeds holds the identifier loosely."""

BIRTH_DATE_TOKENS = ("forename_start_birth_date", "surname_start_birth_date")
POSTCODE_TOKENS = ("initial_postcode", "surname_initial_postcode")
"""A date of birth and a postcode cross only together with the start of a name, so that frequency tells little. Records
agree in them if they do with the start of either name; the two share a key, so that swapped names agree as well."""

BIRTH_DATE_AT_HOME = "birth_date_outward_code"
"""The date of birth together with the postal district: it agrees whatever the name is."""


def comparison_columns(source: str, columns: Sequence[str] = (), *, ordered: bool = True) -> str:
    """Return the query that turns link keys in `source` into what the comparisons read.

    One row per record: `record_ref`, `name_filter` (a bit string, null without a name), the tokens, and
    `columns`. Not `ordered`, rows come as `source` has them.
    """
    # By way of bytes: DuckDB puts bit strings together bit by bit, which takes three times as long.
    words = " || ".join(f"{word}::bit::blob" for word in FILTER_COLUMNS)
    qualities = _loosely_held_columns() if "feed" in columns else ()
    listed = ", ".join(("record_ref", f"({words})::bit as name_filter", *TOKEN_COLUMNS, *columns, *qualities))
    return f"select {listed} from {source}{' order by record_ref' if ordered else ''}"


def _loosely_held_columns() -> tuple[str, ...]:
    """Return, for each identifier that is compared by quality, whether the record's feed holds it loosely."""
    columns = []
    for identifier, feeds in read_identifier_quality().loosely_held.items():
        listed = ", ".join(f"'{feed}'" for feed in feeds)
        held = f"feed in ({listed})" if feeds else "false"
        columns.append(f"{held} as {identifier}{LOOSELY_HELD}")
    return tuple(columns)


def link_key_comparisons() -> list[ComparisonCreator]:
    """Return the county's comparisons, each from its strongest level to its weakest, before `by_quality`."""
    return [
        name_comparison(rare_starts=RARE_STARTS),
        birth_date_comparison(),
        token_comparison("nino"),
        token_comparison("nhs_number"),
        token_comparison("upn"),
        token_comparison("phone"),
        partner_reference_comparison(),
        home_comparison(),
    ]


def name_comparison(
    distances: Sequence[float] = NAME_DISTANCES, rare_starts: Sequence[float] = ()
) -> ComparisonCreator:
    """Compare names: the same full name (in any order), then bands of filter distance (shares of differing bits).

    The bands of `rare_starts` weigh how rare the starts of the two names are.
    """
    distance = "bit_count(xor(name_filter_l, name_filter_r))"
    bands = []
    for share in distances:
        band = level(
            f"{distance} <= {round(share * FILTER_BITS)}", f"filters differ in at most {share:.1%} of bits"
        )
        if share in rare_starts:
            band = band.configure(
                tf_adjustment_column="name_starts_token", tf_adjustment_weight=RARITY_OF_STARTS
            )
        bands.append(band)
        if share == max(rare_starts, default=None):
            # Splink takes from this level, that of exact agreement, what a usual start is.
            starts = level("name_starts_token_l = name_starts_token_r", "the starts of both names agree")
            bands.append(
                starts.configure(
                    m_probability=MATCHES_BY_STARTS_ALONE,
                    u_probability=USUAL_START,
                    fix_m_probability=True,
                    fix_u_probability=True,
                )
            )
    return comparison(
        "name",
        "Name",
        cll.NullLevel("name_filter"),
        cll.ExactMatchLevel("full_name_token", term_frequency_adjustments=True),
        level(
            _either("middle_full_name", "full_name"),
            "one's middle name is the other's forename",
            m_probability=MATCHES_BY_MIDDLE_NAME,
        ),
        *bands,
    )


def birth_date_comparison() -> ComparisonCreator:
    """Compare dates of birth: equal, day and month swapped, two of the three parts equal, else."""
    two_parts = " or ".join(
        f"{part}_token_l = {part}_token_r"
        for part in ("initials_birth_year_month", "initials_birth_year_day", "initials_birth_month_day")
    )
    return comparison(
        "birth_date",
        "Date of birth",
        level(unknown(*BIRTH_DATE_TOKENS), "a date of birth is not known", is_null=True),
        level(same_birth_date(), "same date of birth"),
        level("initials_birth_swapped_token_l = initials_birth_swapped_token_r", "day and month swapped"),
        level(two_parts, "two of year, month and day agree"),
    )


def home_comparison() -> ComparisonCreator:
    """Compare homes: the same property, the one that was left for, the same postcode, else. People move: else
    is mild.

    At one property the levels also ask for the forename: relatives share surname and home, so that otherwise
    a wife would pass for her husband with his name cut to an initial. Two references in one partner's system
    there are two people, unless that partner entered one person twice."""
    return comparison(
        "home",
        "Home",
        level(unknown("uprn", *POSTCODE_TOKENS), "a home is not known", is_null=True),
        level(
            "uprn_token_l = uprn_token_r and feed_l = feed_r "
            "and partner_reference_token_l <> partner_reference_token_r",
            "same property, two references",
        ),
        level("forename_uprn_token_l = forename_uprn_token_r", "same property and forename"),
        level(
            _either("middle_uprn", "forename_uprn"),
            "same property, one's middle name is the other's forename",
            m_probability=MATCHES_BY_MIDDLE_NAME_AT_HOME,
        ),
        level(
            _either("bare_initial_uprn", "initial_uprn"),
            "same property, one forename is the other's initial",
            m_probability=MATCHES_WITH_BARE_INITIAL,
        ),
        level(
            "initial_uprn_token_l = initial_uprn_token_r",
            "same property and initial",
            m_probability=MATCHES_WITH_ANOTHER_FORENAME,
        ),
        level("uprn_token_l = uprn_token_r", "same property", m_probability=MATCHES_WITH_ANOTHER_INITIAL),
        level(_either("initial_forwarding_uprn", "initial_uprn"), "forwarding property, same initial"),
        level(_either("forwarding_uprn", "uprn"), "forwarding property"),
        level(_either("surname_forwarding_postcode", "surname_postcode"), "forwarding postcode"),
        level(same(*POSTCODE_TOKENS), "same postcode"),
    )


def same(*tokens: str) -> str:
    """Return the condition that one of `tokens`, which share a key, agrees with one of them on the other side."""
    return " or ".join(f"{left}_token_l = {right}_token_r" for left, right in product(tokens, tokens))


def same_birth_date() -> str:
    """Return the condition that the dates of birth are seen to agree: with a name's start, or with the district."""
    return f"{same(*BIRTH_DATE_TOKENS)} or {same(BIRTH_DATE_AT_HOME)}"


def unknown(*tokens: str) -> str:
    """Return the condition that one of the two records holds none of `tokens`."""
    return " or ".join(
        "(" + " and ".join(f"{token}_token_{side} is null" for token in tokens) + ")" for side in ("l", "r")
    )


def _either(one: str, other: str) -> str:
    return f"{one}_token_l = {other}_token_r or {one}_token_r = {other}_token_l"


def token_comparison(field: str, *, term_frequency_adjustments: bool = False) -> ComparisonCreator:
    """Compare one token by equality."""
    column = f"{field}_token"
    return comparison(
        field,
        field,
        cll.NullLevel(column),
        cll.ExactMatchLevel(column, term_frequency_adjustments=term_frequency_adjustments),
    )


def partner_reference_comparison() -> ComparisonCreator:
    """Compare a partner's own person references, which say something only inside one feed."""
    column = "partner_reference_token"
    return comparison(
        "partner_reference",
        "Partner's person reference",
        level(
            f"{column}_l is null or {column}_r is null or feed_l <> feed_r",
            "not of the same partner's system",
            is_null=True,
        ),
        cll.ExactMatchLevel(column),
    )


def by_quality(
    comparisons: Sequence[ComparisonCreator], identifiers: Collection[str]
) -> list[ComparisonCreator]:
    """Return `comparisons`, those of `identifiers` in two: one for pairs of records whose feeds both hold the
    identifier well, one (`…_loosely_held`) for pairs of which a feed does not.

    Each says nothing of the other's pairs. So m and u of either are shares of its own pairs, and how often a feed
    occurs weighs nothing.
    """
    found: list[ComparisonCreator] = []
    for creator in comparisons:
        name = str(creator.create_output_column_name())
        if name not in identifiers:
            found.append(creator)
            continue
        loose = f"({name}{LOOSELY_HELD}_l or {name}{LOOSELY_HELD}_r)"
        found.append(_silent_where(creator, name, loose, "a feed holds it loosely"))
        found.append(_silent_where(creator, name + LOOSELY_HELD, f"not {loose}", "both feeds hold it well"))
    return found


def _silent_where(creator: ComparisonCreator, name: str, condition: str, label: str) -> ComparisonCreator:
    return cl.CustomComparison(
        output_column_name=name,
        comparison_description=str(creator.create_description()),
        comparison_levels=[level(condition, label, is_null=True), *creator.create_comparison_levels()],
    )


def comparison(name: str, description: str, *levels: ComparisonLevelCreator) -> ComparisonCreator:
    """Return a comparison of `levels`, closed by the level for all other pairs."""
    return cl.CustomComparison(
        output_column_name=name,
        comparison_description=description,
        comparison_levels=[*levels, cll.ElseLevel()],
    )


def level(
    condition: str, label: str, *, is_null: bool = False, m_probability: float | None = None
) -> ComparisonLevelCreator:
    """Return one level: pairs for which `condition` (SQL over `…_l` and `…_r`) holds.

    A given `m_probability` was set in review: training leaves it alone.
    """
    made = cll.CustomLevel(condition, label_for_charts=label)
    if m_probability is not None:
        return made.configure(m_probability=m_probability, fix_m_probability=True)
    return made.configure(is_null_level=True) if is_null else made
