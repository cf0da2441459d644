"""Bridge assets, made from the contracts: a contract is all that a new feed needs here."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import dagster as dg

from bridge.deliveries.loading import LoadReport
from bridge.health.feed_health import Drift
from bridge.run import load_feed, match_feed, seal_feed
from governance.contracts import FeedContract
from orchestration.bridge.council import Council
from orchestration.bridge.failures import values_kept_back
from orchestration.bridge.partitions import deliveries_of
from orchestration.metadata import metadata_of, picture
from orchestration.names import (
    BRIDGE,
    PARTNER_FEEDS,
    addressed_key,
    loaded_key,
    partner_feed_key,
    pseudonymised_key,
)
from orchestration.night import Night

# How many days beyond cadence and latency a feed may be late before it counts as stale.
GRACE_DAYS = 3

# Changes named in a check; the feed's page has all of them.
CHANGES_TOLD = 50

# Runs when something upstream is new, and never past a failed blocking check (a plain `eager` would).
WHEN_CHECKED = dg.AutomationCondition.eager() & dg.AutomationCondition.all_deps_blocking_checks_passed()


def bridge_assets(contract: FeedContract) -> list[dg.AssetsDefinition | dg.AssetSpec]:
    """Return the assets of one feed, from the partner's files to sealed packages."""
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [_partner_feed(contract), _loaded(contract)]
    if contract.holds_people:
        assets.append(_addressed(contract))
    assets.append(_pseudonymised(contract))
    return assets


def freshness_of(contract: FeedContract) -> dg.FreshnessPolicy:
    """A feed is stale when nothing came for its cadence plus its usual latency and a few days' grace."""
    expected = timedelta(days=contract.cadence_days + contract.latency_days)
    return dg.FreshnessPolicy.time_window(
        fail_window=expected + timedelta(days=GRACE_DAYS), warn_window=expected
    )


def _partner_feed(contract: FeedContract) -> dg.AssetSpec:
    return dg.AssetSpec(
        partner_feed_key(contract.feed),
        description=f"One row per record that {contract.partner} sends. {contract.description}",
        group_name=PARTNER_FEEDS,
        owners=[contract.owner],
        kinds={table.format.format for table in contract.tables},
        tags={"partner": contract.partner},
    )


def _loaded(contract: FeedContract) -> dg.AssetsDefinition:
    key = loaded_key(contract.feed)
    row_checks = {table.name: f"row_rules_{table.name}" for table in contract.tables}
    delivery_checks = {table.name: f"delivery_rules_{table.name}" for table in contract.tables}
    schema_checks = {table.name: f"schema_{table.name}" for table in contract.tables}

    @dg.asset(
        key=key,
        deps=[partner_feed_key(contract.feed)],
        partitions_def=deliveries_of(contract.feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=BRIDGE,
        owners=[contract.owner],
        kinds={"python", "greatexpectations", "duckdb"},
        description=(
            f"One row per row of a {contract.feed} delivery that keeps the contract: typed, checked by "
            "Great Expectations. "
            "Rows that break a row rule are in quarantine, deliveries that break a delivery rule are refused."
        ),
        metadata={
            "contract": dg.MetadataValue.text(contract.path.name),
            "contract_version": contract.version,
        },
        freshness_policy=freshness_of(contract),
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=description)
            for names, description in (
                (
                    row_checks,
                    "Row rules of the contract, by Great Expectations. Warns when rows went to quarantine; "
                    "stops the feed when more did than the contract allows.",
                ),
                (
                    delivery_checks,
                    "Delivery rules of the contract, by Great Expectations. Warns when a delivery was refused; "
                    "stops the feed when none is left.",
                ),
            )
            for name in names.values()
        ]
        + [
            dg.AssetCheckSpec(
                name,
                asset=key,
                description=(
                    "Columns and code lists as the contract and the deliveries before had them. Warns when a column "
                    "is new or missing, or a code is new, gone or not the contract's."
                ),
            )
            for name in schema_checks.values()
        ],
    )
    def loaded(context: dg.AssetExecutionContext, council: Council) -> dg.MaterializeResult:
        with values_kept_back(contract.feed, "loading"):
            done = load_feed(council.zone(), contract.feed, list(context.partition_keys))
        plots = {"feed_health": picture("Trends over deliveries", done.plot)} if done.plot else {}
        return dg.MaterializeResult(
            metadata={**metadata_of(done.report), **plots, "page": dg.MetadataValue.path(done.page)},
            check_results=[
                *_check_results(done.report, key, row_checks, delivery_checks),
                *_schema_results(done.drift, key, schema_checks),
            ],
        )

    return loaded


def _schema_results(
    drift: Sequence[Drift], key: dg.AssetKey, checks: dict[str, str]
) -> Iterator[dg.AssetCheckResult]:
    """Warn of what changed, newest delivery first: by column and by the contract's own codes, in counts."""
    for table, name in checks.items():
        mine = [each for each in reversed(drift) if each.table == table]
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=name,
            passed=not mine,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(mine)} changes to look at." if mine else "Nothing has changed.",
            metadata={"changes": dg.MetadataValue.json([_change(each) for each in mine[:CHANGES_TOLD]])},
        )


def _change(drift: Drift) -> dict[str, str | None]:
    return {"delivery": drift.delivery_id, "column": drift.column, "code": drift.code, "says": drift.says}


def _check_results(
    report: LoadReport, key: dg.AssetKey, row_checks: dict[str, str], delivery_checks: dict[str, str]
) -> Iterator[dg.AssetCheckResult]:
    # A few broken rows or one refused delivery must not hold back the rest: they are set aside and the check warns.
    severity = dg.AssetCheckSeverity.ERROR if report.blocking_failure else dg.AssetCheckSeverity.WARN
    for verdict in report.tables:
        for names, rules in ((row_checks, verdict.row_rules), (delivery_checks, verdict.delivery_rules)):
            broken = [rule for rule in rules if not rule.passed]
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=names[verdict.table],
                passed=not broken,
                severity=severity,
                description=f"{len(rules) - len(broken)} of {len(rules)} rules hold.",
                metadata={
                    "rules": len(rules),
                    "broken_rules": dg.MetadataValue.json(
                        {
                            rule.name: {"broken": rule.broken, "where": list(rule.where), "says": rule.says}
                            for rule in broken
                        }
                    ),
                },
            )


def _addressed(contract: FeedContract) -> dg.AssetsDefinition:
    @dg.asset(
        key=addressed_key(contract.feed),
        deps=[loaded_key(contract.feed)],
        group_name=BRIDGE,
        owners=[contract.owner],
        kinds={"python", "duckdb"},
        automation_condition=WHEN_CHECKED,
        description=(
            f"One row per address text of {contract.feed} that came without a UPRN, with the UPRN that "
            "uk-address-matcher finds for it in the gazetteer."
        ),
    )
    def addressed(council: Council) -> dg.MaterializeResult:
        with values_kept_back(contract.feed, "matching addresses"):
            report = match_feed(council.zone(), contract.feed)
        return dg.MaterializeResult(metadata=metadata_of(report))

    return addressed


def _pseudonymised(contract: FeedContract) -> dg.AssetsDefinition:
    upstream = addressed_key(contract.feed) if contract.holds_people else loaded_key(contract.feed)

    @dg.asset(
        key=pseudonymised_key(contract.feed),
        deps=[loaded_key(contract.feed)]
        if upstream == loaded_key(contract.feed)
        else [loaded_key(contract.feed), upstream],
        partitions_def=deliveries_of(contract.feed),
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name=BRIDGE,
        owners=[contract.owner],
        kinds={"python", "cryptography"},
        automation_condition=WHEN_CHECKED,
        description=(
            f"One row per accepted row of {contract.feed}, its identity in the vault and the rest sealed for the "
            "analytics zone: link keys and minimised payload apart, met only by a record reference."
        ),
    )
    def pseudonymised(
        context: dg.AssetExecutionContext, council: Council, night: Night
    ) -> dg.MaterializeResult:
        with values_kept_back(contract.feed, "pseudonymising"):
            report = seal_feed(council.zone(), contract.feed, list(context.partition_keys), night.day())
        return dg.MaterializeResult(metadata=metadata_of(report))

    return pseudonymised
