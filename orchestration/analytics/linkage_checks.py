"""Checks of linkage: whether tonight's people are too unlike those of the good nights before. They block."""

from collections.abc import Iterator

import dagster as dg

from linkage.nights.drift import Check, Finding, JudgedNight
from orchestration.names import PEOPLE_KEY

FINDINGS_TOLD = 50
"""Findings named in a check; a collapse of one feed strays in a dozen feed pairs."""

DESCRIPTIONS = {
    Check.LINK_RATES: "People whom two feeds both know, as a share of the smaller feed's, against good nights before.",
    Check.CLUSTERS: "Records of the largest person and records per person, against the good nights before.",
    Check.CANDIDATES: "Pairs that blocking brings together for each record, against the good nights before.",
    Check.WEIGHTS: "Stability index of the match weights of each feed's links, against good nights of the same model.",
}


def linkage_check_specs() -> list[dg.AssetCheckSpec]:
    """Return the specs of the checks of `people`: all stop what is downstream when they fail as an error."""
    return [
        dg.AssetCheckSpec(
            check.value,
            asset=PEOPLE_KEY,
            blocking=True,
            description=f"{DESCRIPTIONS[check]} Limits: contracts/linkage_checks.yaml.",
        )
        for check in Check
    ]


def linkage_check_results(judged: JudgedNight) -> Iterator[dg.AssetCheckResult]:
    """Yield the result of each check: passed, failed as a warning, or failed as an error that blocks."""
    for check in Check:
        findings = judged.of(check)
        blocks = any(finding.blocks for finding in findings) and not judged.good
        yield dg.AssetCheckResult(
            asset_key=PEOPLE_KEY,
            check_name=check.value,
            passed=not findings,
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            description=_told(judged, findings),
            metadata={
                "compared_nights": judged.compared_nights,
                "findings": dg.MetadataValue.json([_row(one) for one in findings[:FINDINGS_TOLD]]),
            },
        )


def night_metadata(judged: JudgedNight) -> dict[str, dg.MetadataValue | int | float]:
    """Return tonight's figures as metadata: counts and rates only."""
    figures = judged.figures
    return {
        "largest_person": figures.largest_person,
        "records_per_person": round(figures.records_per_person, 4),
        "candidates_per_record": round(figures.candidates_per_record, 2),
        "candidate_volume": dg.MetadataValue.json(dict(figures.candidates)),
        "weights_of_linked_pairs": dg.MetadataValue.json(
            {
                feed: {str(weight): pairs for weight, pairs in held.items()}
                for feed, held in figures.weights.items()
            }
        ),
        "feed_pair_link_rates": dg.MetadataValue.table(
            [
                dg.TableRecord({"feeds": name, "people": rate.people, "share": rate.share})
                for name, rate in figures.link_rates.items()
                if rate.people
            ],
            schema=dg.TableSchema(
                [
                    dg.TableColumn("feeds", "string"),
                    dg.TableColumn("people", "int"),
                    dg.TableColumn("share", "float"),
                ]
            ),
        ),
    }


def _told(judged: JudgedNight, findings: list[Finding]) -> str:
    if not judged.enough_history:
        return (
            f"Too little history: {judged.compared_nights} good nights before this one. Nothing is usual yet."
        )
    if not findings:
        return f"As on the {judged.compared_nights} good nights before."
    accepted = f" Accepted: {judged.accepted_because}." if judged.accepted_because else ""
    more = f" And {len(findings) - 1} more." if len(findings) > 1 else ""
    return f"{findings[0].sentence}.{more}{accepted}"


def _row(finding: Finding) -> dict[str, str | float | bool]:
    return {
        "what": finding.what,
        "now": round(finding.now, 6),
        "usual": round(finding.usual, 6),
        "limit": round(finding.limit, 6),
        "blocks": finding.blocks,
    }
