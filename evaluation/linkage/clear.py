"""Clear-text Splink, to measure what pseudonymisation costs: the documented model of a data set, or a plain
one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import duckdb
import pyarrow as pa
import splink.comparison_library as cl
from splink import SettingsCreator, block_on
from splink.internals.blocking_rule_creator import BlockingRuleCreator
from splink.internals.comparison_creator import ComparisonCreator

from bridge.standardise.identities import standardise_identities
from evaluation.datasets import PeopleTable
from linkage.candidates.training import SEED
from linkage.scoring.pairs import linking_connection, one_thread, quiet_linker

LOWEST_WEIGHT = -20.0
"""Pairs below it are far from any sensible threshold."""

RANDOM_PAIRS = 2_000_000
CLEAR = "clear_records"


@dataclass(frozen=True)
class ClearModel:
    """A Splink model over the clear columns of a `PeopleTable`, and how it is trained."""

    comparisons: Sequence[ComparisonCreator]
    blocking_rules: Sequence[BlockingRuleCreator]
    sure_matches: Sequence[str]
    sure_match_recall: float
    training_rules: Sequence[str | BlockingRuleCreator] = field(default_factory=tuple)


def historical_model() -> ClearModel:
    """The model that Splink documents for its historical people
    (`demos/examples/duckdb/deduplicate_50k_synthetic` in its documentation): comparisons, blocking and
    training.
    """
    return ClearModel(
        comparisons=[
            cl.ForenameSurnameComparison(
                "forename", "surname", forename_surname_concat_col_name="forename_surname"
            ),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True),
            cl.PostcodeComparison("postcode"),
            cl.ExactMatch("birth_place").configure(term_frequency_adjustments=True),
            cl.ExactMatch("occupation").configure(term_frequency_adjustments=True),
        ],
        blocking_rules=[
            block_on("substr(forename,1,3)", "substr(surname,1,4)"),
            block_on("surname", "date_of_birth"),
            block_on("forename", "date_of_birth"),
            block_on("postcode", "forename"),
            block_on("postcode", "surname"),
            block_on("date_of_birth", "birth_place"),
            block_on("substr(postcode,1,3)", "date_of_birth"),
            block_on("substr(postcode,1,3)", "forename"),
            block_on("substr(postcode,1,3)", "surname"),
            block_on("substr(forename,1,2)", "substr(surname,1,2)", "substr(date_of_birth,1,4)"),
        ],
        sure_matches=[
            "l.forename = r.forename and l.surname = r.surname and l.date_of_birth = r.date_of_birth",
            "substr(l.forename,1,2) = substr(r.forename,1,2) and l.surname = r.surname "
            "and substr(l.postcode,1,2) = substr(r.postcode,1,2)",
            "l.date_of_birth = r.date_of_birth and l.postcode = r.postcode",
        ],
        sure_match_recall=0.6,
        training_rules=[block_on("forename", "surname"), block_on("date_of_birth")],
    )


def febrl_model() -> ClearModel:
    """The model of Splink's FEBRL 3 example: names, date of birth, person number, street number, postcode."""
    return ClearModel(
        comparisons=[
            cl.NameComparison("forename"),
            cl.NameComparison("surname"),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True, datetime_format="%Y%m%d"),
            cl.DamerauLevenshteinAtThresholds("partner_person_reference", [1, 2]),
            cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            cl.ExactMatch("postcode").configure(term_frequency_adjustments=True),
        ],
        blocking_rules=[
            block_on("partner_person_reference"),
            block_on("forename"),
            block_on("surname"),
            block_on("date_of_birth"),
            block_on("postcode"),
        ],
        sure_matches=[
            "l.partner_person_reference = r.partner_person_reference",
            "l.forename = r.forename and l.surname = r.surname and l.date_of_birth = r.date_of_birth",
            "l.forename = r.surname and l.surname = r.forename and l.date_of_birth = r.date_of_birth",
        ],
        sure_match_recall=0.9,
        training_rules=[block_on("date_of_birth"), block_on("substr(postcode,1,2)")],
    )


def plain_model(table: PeopleTable) -> ClearModel:
    """A model for anybody's table, of Splink's own comparisons and the clear equivalents of the link keys'
    blocking.

    It reads the standardised columns, as the link keys do.
    """
    comparisons: list[ComparisonCreator] = [
        cl.ForenameSurnameComparison(
            "forename", "surname", forename_surname_concat_col_name="forename_surname"
        )
    ]
    rules = [block_on("substr(forename,1,3)", "substr(surname,1,4)")]
    training = [block_on("forename", "surname")]
    sure = []
    if table.has("date_of_birth"):
        comparisons.append(cl.DateOfBirthComparison("date_of_birth", input_is_string=True))
        rules += [
            block_on("surname", "date_of_birth"),
            block_on("forename", "date_of_birth"),
            block_on("substr(forename,1,2)", "substr(surname,1,2)", "substr(date_of_birth,1,4)"),
        ]
        training.append(block_on("date_of_birth"))
        sure.append("l.forename = r.forename and l.surname = r.surname and l.date_of_birth = r.date_of_birth")
    for home in ("uprn", "postcode"):
        if table.has(home):
            comparisons.append(cl.PostcodeComparison(home) if home == "postcode" else cl.ExactMatch(home))
            rules += [block_on(home, "forename"), block_on(home, "surname")]
            training.append(block_on(home))
            sure.append(f"l.forename = r.forename and l.surname = r.surname and l.{home} = r.{home}")
    for number in ("nino", "nhs_number", "partner_person_reference", "phone"):
        if table.has(number):
            comparisons.append(cl.DamerauLevenshteinAtThresholds(number, [1]))
            rules.append(block_on(number))
            sure.append(f"l.{number} = r.{number}")
    return ClearModel(
        comparisons, rules, sure or ["l.forename = r.forename and l.surname = r.surname"], 0.7, training
    )


def clear_pairs(table: PeopleTable, model: ClearModel, *, standardised: bool) -> pa.Table:
    """Train `model` on the clear columns of `table` and return record_ref_l, record_ref_r, match_weight.

    Two sources are linked with each other only, as Splink's examples do.
    """
    connection = linking_connection()
    try:
        connection.register("given", _standardised(table) if standardised else table.records)
        connection.execute(
            f"create table {CLEAR} as select *, forename || ' ' || surname as forename_surname from given "
            "order by record_ref"
        )
        sources = _split_by_source(connection, table)
        settings = SettingsCreator(
            link_type="link_only" if sources else "dedupe_only",
            unique_id_column_name="record_ref",
            comparisons=list(model.comparisons),
            blocking_rules_to_generate_predictions=list(model.blocking_rules),
            retain_matching_columns=False,
            retain_intermediate_calculation_columns=False,
        )
        linker = quiet_linker(sources or CLEAR, settings, connection)
        training = linker.training
        training.estimate_probability_two_random_records_match(
            list(model.sure_matches), recall=model.sure_match_recall
        )
        with one_thread(connection):
            training.estimate_u_using_random_sampling(max_pairs=RANDOM_PAIRS, seed=SEED)
        for rule in model.training_rules:
            training.estimate_parameters_using_expectation_maximisation(rule)
        predicted = linker.inference.predict(threshold_match_weight=LOWEST_WEIGHT).physical_name
        return connection.execute(
            f"select record_ref_l, record_ref_r, match_weight from {predicted}"
        ).to_arrow_table()
    finally:
        connection.close()


def _split_by_source(connection: duckdb.DuckDBPyConnection, table: PeopleTable) -> list[str]:
    """Make one view of the clear records per source; return their names, none where all are of one."""
    if table.source is None:
        return []
    names = []
    for source in sorted(table.records[table.source].unique().to_pylist()):
        names.append(f"{CLEAR}_{source}")
        connection.execute(
            f"create view {names[-1]} as select * from {CLEAR} where {table.source} = '{source}'"
        )
    return names


def _standardised(table: PeopleTable) -> pa.Table:
    standard = standardise_identities(table.records)
    dates = standard["date_of_birth"].cast(pa.string())
    columns = {name: standard[name] for name in standard.column_names if name != "date_of_birth"}
    return pa.table({"record_ref": table.records["record_ref"], **columns, "date_of_birth": dates})
