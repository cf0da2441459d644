"""The models that Splink documents for data sets of others, as its examples give them (version 4).

Each is the strongest that is documented for that data set. What an example leaves open (rounds of training without a
seed, say) is filled in by `linkage_clear`.
"""

from __future__ import annotations

import splink.comparison_library as cl
from splink import block_on
from splink.internals.blocking_rule_library import CustomRule

from evaluation.linkage.clear import ClearModel


def febrl_links_model() -> ClearModel:
    """The detailed model of the example that links the two files of FEBRL 4."""
    return ClearModel(
        comparisons=[
            cl.NameComparison("forename").configure(term_frequency_adjustments=True),
            cl.NameComparison("surname").configure(term_frequency_adjustments=True),
            cl.DateOfBirthComparison(
                "date_of_birth", input_is_string=True, datetime_format="%Y%m%d", invalid_dates_as_null=True
            ),
            cl.DamerauLevenshteinAtThresholds("partner_person_reference", [1, 2]),
            cl.ExactMatch("street_number").configure(term_frequency_adjustments=True),
            cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]).configure(term_frequency_adjustments=True),
        ],
        blocking_rules=[
            block_on("forename", "surname"),
            CustomRule("l.forename = r.surname and l.surname = r.forename"),
            block_on("date_of_birth"),
            block_on("partner_person_reference"),
            block_on("state", "address"),
            block_on("street_number", "address"),
            block_on("postcode"),
        ],
        sure_matches=[
            "l.partner_person_reference = r.partner_person_reference",
            "l.forename = r.forename and l.surname = r.surname and l.date_of_birth = r.date_of_birth",
        ],
        sure_match_recall=0.8,
        training_rules=[block_on("date_of_birth"), block_on("postcode")],
    )


def fake_model() -> ClearModel:
    """The model of the example that judges accuracy on the 1,000 fake records by their labels."""
    return ClearModel(
        comparisons=[
            cl.ForenameSurnameComparison("forename", "surname"),
            cl.DateOfBirthComparison("date_of_birth", input_is_string=True),
            cl.ExactMatch("city").configure(term_frequency_adjustments=True),
            cl.EmailComparison("email"),
        ],
        blocking_rules=[
            block_on("forename"),
            block_on("surname"),
            block_on("date_of_birth"),
            block_on("email"),
        ],
        sure_matches=[
            "l.forename = r.forename and levenshtein(r.date_of_birth, l.date_of_birth) <= 1",
            "l.surname = r.surname and levenshtein(r.date_of_birth, l.date_of_birth) <= 1",
            "l.forename = r.forename and levenshtein(r.surname, l.surname) <= 2",
            "l.email = r.email",
        ],
        sure_match_recall=0.7,
        training_rules=[block_on("date_of_birth"), block_on("email"), block_on("forename", "surname")],
    )
