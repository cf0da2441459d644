"""dbt unit tests as asset checks. dbt runs them in a build, but dagster-dbt makes no check of them by itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.analytics.datacentre import DataCentre
from orchestration.analytics.dbt import Dbt, DoorstepTranslator, warehouse_environment


def dbt_unit_test_checks(manifest_path: Path) -> list[dg.AssetChecksDefinition]:
    """Return one step that runs every dbt unit test and reports each as a check of its model."""
    manifest: dict[str, Any] = json.loads(manifest_path.read_text(encoding="utf-8"))
    translator = DoorstepTranslator()
    checks = {
        unit_test["unique_id"]: dg.AssetCheckSpec(
            name=unit_test["name"],
            asset=translator.get_asset_key(manifest["nodes"][unit_test["depends_on"]["nodes"][0]]),
            description=unit_test.get("description") or "dbt unit test",
        )
        for unit_test in manifest["unit_tests"].values()
    }
    if not checks:
        return []

    @dg.multi_asset_check(name="dbt_unit_tests", specs=list(checks.values()))
    def dbt_unit_tests(dbt: Dbt, data_centre: DataCentre) -> Iterator[dg.AssetCheckResult]:
        with warehouse_environment(data_centre.zone()):
            invocation = dbt.cli(
                ["test", "--select", "test_type:unit"], manifest=manifest, raise_on_error=False
            )
            invocation.wait()
            results = invocation.get_artifact("run_results.json")["results"]
        outcome = {result["unique_id"]: result for result in results}
        for unique_id, spec in checks.items():
            result = outcome.get(unique_id)
            yield dg.AssetCheckResult(
                asset_key=spec.asset_key,
                check_name=spec.name,
                passed=result is not None and result["status"] == "pass",
                metadata={"status": result["status"] if result else "not run"},
            )

    return [dbt_unit_tests]
