"""Promise 1, for exceptions: an error that holds a personal value reaches neither event log nor log nor console.

The error is a real one of DuckDB's, which repeats what it could not convert. It is raised within each step of the
bridge in a real Dagster run with the storage that nights use; then everything that the run wrote is scanned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from two_zones import NIGHT, TwoZones, make_two_zones

import orchestration.bridge.assets
from governance.scanner import scan_analytics
from orchestration.bridge.council import Council
from orchestration.bridge.failures import BridgeStepError, values_kept_back
from orchestration.instance import prepare_instance
from orchestration.names import addressed_key, deliveries_partition_name, loaded_key, pseudonymised_key
from orchestration.night import Night
from stores.keys import KeyUnavailableError

FEED = "adult_social_care"
DELIVERY = "2026-10-05-full-0000beef"
NAME = "Zebedee Canaryworth"
STEPS: dict[str, Callable[[str], dg.AssetKey]] = {
    "load_feed": loaded_key,
    "match_feed": addressed_key,
    "seal_feed": pseudonymised_key,
}


def stumble(*_: Any) -> None:
    """Fail as a step does that meets a name where a number should be."""
    with duckdb.connect(":memory:") as connection:
        connection.execute("select cast(? as integer)", [NAME])


@pytest.fixture(scope="module")
def zones(tmp_path_factory: pytest.TempPathFactory) -> TwoZones:
    return make_two_zones(tmp_path_factory.mktemp("errors") / "home")


@pytest.fixture
def instance(zones: TwoZones, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The instance of a night: SQLite under the home."""
    monkeypatch.setenv("DOORSTEP_HOME", str(zones.home.root))
    monkeypatch.setenv("DAGSTER_HOME", str(zones.home.dagster))
    prepare_instance(zones.home)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions(deliveries_partition_name(FEED), [DELIVERY])
        yield instance


def run_step(zones: TwoZones, instance: dg.DagsterInstance, step: str) -> dg.ExecuteInProcessResult:
    assets = orchestration.bridge.assets.bridge_assets(zones.council.contracts[FEED])
    return dg.materialize(
        assets,
        selection=[STEPS[step](FEED)],
        instance=instance,
        resources={"council": Council(), "night": Night(date=NIGHT.isoformat())},
        partition_key=None if step == "match_feed" else DELIVERY,
        raise_on_error=False,
    )


@pytest.mark.parametrize("step", STEPS)
def test_an_error_with_a_name_in_it_leaves_no_trace_of_the_name(
    zones: TwoZones,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    step: str,
) -> None:
    with pytest.raises(duckdb.ConversionException, match=NAME):
        stumble()
    monkeypatch.setattr(orchestration.bridge.assets, step, stumble)
    result = run_step(zones, instance, step)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    told = failure.step_failure_data.error.to_string()
    assert "ConversionException in pipeline/test_errors_hold_no_value.py, line" in told
    said = capfd.readouterr()
    assert "ConversionException" in said.err
    for text in (told, said.out, said.err):
        assert NAME not in text
    report = scan_analytics(zones.analytics, {"full_name": [NAME]})
    assert report.hits == ()
    assert report.holds


def test_without_that_the_name_is_in_the_event_log(
    zones: TwoZones, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(orchestration.bridge.assets, "values_kept_back", lambda *_: nullcontext())
    monkeypatch.setattr(orchestration.bridge.assets, "match_feed", stumble)
    result = run_step(zones, instance, "match_feed")
    report = scan_analytics(zones.analytics, {"full_name": [NAME]})
    # Dagster's storage is taken clean for the tests beside this one.
    instance.delete_run(result.run_id)
    assert any(hit.file.startswith("dagster/") for hit in report.hits)


def test_what_says_what_to_do_passes() -> None:
    with pytest.raises(KeyUnavailableError, match="chmod"), values_kept_back(FEED, "loading"):
        raise KeyUnavailableError("run chmod 600 on it")
    with pytest.raises(BridgeStepError, match="KeyError"), values_kept_back(FEED, "loading"):
        raise KeyError(NAME)


def test_a_command_that_fails_unforeseen_tells_no_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from doorstep import cli

    monkeypatch.setattr(cli, "app", stumble)
    monkeypatch.delenv("DOORSTEP_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    said = capsys.readouterr()
    assert "ConversionException" in said.err
    assert NAME not in said.err + said.out
