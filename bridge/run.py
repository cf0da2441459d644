"""The whole council side of one night: register, load, check, match addresses, pseudonymise, seal, receive cases.

No Dagster: `doorstep bridge run` calls `run_bridge`; the Dagster assets of the bridge call the same steps one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path

from bridge.addresses import AddressReport, match_addresses
from bridge.cases.cases import CasesReport, receive_cases
from bridge.deliveries.inbox import RegistrationReport, register_deliveries
from bridge.deliveries.ledger import CHECKED, REGISTERED, SEALED, Delivery, deliveries, writing
from bridge.deliveries.loading import LoadReport, load_deliveries
from bridge.files.problems import NoSuchFileError
from bridge.health.feed_health import Drift, feed_health
from bridge.health.feed_page import renew_homes, write_feed_page
from bridge.health.feed_plots import trends
from bridge.pseudonymise.deliveries import PseudonymiseReport, pseudonymise_deliveries
from bridge.zone import CouncilZone
from expectations.validation import RuleNotEvaluatedError
from governance.agreements import AgreementError
from stores.encrypted import StoreBusyError, StoreUnreadableError
from stores.keys import KeyUnavailableError

# What concerns the whole run, not one feed: without a key or a store nothing may go on.
STOPS_THE_RUN = (KeyUnavailableError, ModuleNotFoundError, StoreBusyError, StoreUnreadableError)
# What says in a sentence of its own what to do, without a value of a row.
SAYS_WHAT_TO_DO = (AgreementError, RuleNotEvaluatedError, NoSuchFileError)


@dataclass(frozen=True)
class LoadedFeed:
    """What one load of a feed found, and the page and plot that show it to people (counts only)."""

    report: LoadReport
    drift: tuple[Drift, ...]
    plot: bytes | None
    page: Path


@dataclass
class FeedRun:
    """What became of one feed in a run."""

    feed: str
    loaded: LoadReport | None = None
    addresses: AddressReport | None = None
    sealed: PseudonymiseReport | None = None
    failure: str | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class BridgeRun:
    """One run of the bridge: what was found in the inbox, what became of each feed that had work, and the alerts that
    came back."""

    night: date
    found: RegistrationReport
    cases: CasesReport
    feeds: tuple[FeedRun, ...] = field(default=())

    @property
    def failures(self) -> tuple[str, ...]:
        feeds = tuple(f"{run.feed}: {run.failure}" for run in self.feeds if run.failure)
        return feeds + tuple(f"cases: {each.name} refused: {each.reason}" for each in self.cases.refused)


def run_bridge(
    zone: CouncilZone, night: date, announce: Callable[[str], None] = lambda _text: None
) -> BridgeRun:
    """Take everything that waits in the inbox to sealed packages, as on `night`, and open what came back.

    All feeds are loaded before any is pseudonymised: addresses of all are matched in one go, against the newest
    gazetteer. A feed that fails is reported and the others go on; what it has not finished waits for the next run.
    Raises `KeyUnavailableError`, `StoreBusyError` and `StoreUnreadableError`, which concern all feeds.
    """
    found = register_deliveries(zone, night)
    waiting = {feed: _waiting(zone, feed) for feed in zone.contracts}
    runs = {feed: FeedRun(feed) for feed, ids in waiting.items() if ids}
    for feed, run in runs.items():
        announce(f"{feed}: load and check")
        _try(run, partial(_load, zone, run, waiting[feed]))
    for feed, run in runs.items():
        if run.failure is None:
            announce(f"{feed}: pseudonymise and seal")
            _try(run, partial(_seal, zone, run, waiting[feed], night))
    announce("cases: open what came back")
    return BridgeRun(night, found, receive_cases(zone, night), tuple(runs.values()))


def load_feed(zone: CouncilZone, feed: str, delivery_ids: Sequence[str]) -> LoadedFeed:
    """Load and check deliveries of one feed, and write the feed's page."""
    report = load_deliveries(zone, feed, delivery_ids)
    health = feed_health(zone, feed)
    contract = zone.contracts[feed]
    plot = trends(health, contract.latency_days)
    return LoadedFeed(
        report=report,
        drift=health.drift([verdict.delivery_id for verdict in report.deliveries]),
        plot=plot,
        page=write_feed_page(zone, contract, health, plot),
    )


def match_feed(zone: CouncilZone, feed: str) -> AddressReport:
    """Find the UPRNs of a feed's checked rows that came without."""
    return match_addresses(zone, feed, [each.delivery_id for each in deliveries(zone, feed, CHECKED)])


def seal_feed(zone: CouncilZone, feed: str, delivery_ids: Sequence[str], night: date) -> PseudonymiseReport:
    """Pseudonymise and seal deliveries of one feed, and tell on the feed's page how their homes were found."""
    report = pseudonymise_deliveries(zone, feed, delivery_ids, night)
    if report.deliveries and zone.contracts[feed].holds_people:
        renew_homes(zone, feed)
    return report


def send_again(zone: CouncilZone, feed: str, delivery_id: str) -> Delivery:
    """Let the next run load and seal a delivery once more, from the file in the inbox.

    For a package that was lost or damaged on its way, or is of a format that is no longer read. The receiver takes
    it in place of the lost one; one that it has opened already, it leaves alone. Raises `NoSuchFileError` if there
    is no such sealed delivery, or its file is gone.
    """
    found = next((each for each in deliveries(zone, feed) if each.delivery_id == delivery_id), None)
    if found is None or found.state != SEALED:
        raise NoSuchFileError(
            f"{feed}: no delivery {delivery_id} has been sealed. See `doorstep bridge status`."
        )
    gone = [path for path in found.paths if not (zone.home.inbox / path).is_file()]
    if gone:
        raise NoSuchFileError(
            f"{', '.join(gone)}: no longer in the inbox. Put the file back as it was, then try again."
        )
    with writing(zone) as ledger:
        ledger.execute(
            "update deliveries set state = ?, rows_sealed = null where feed = ? and delivery_id = ?",
            [REGISTERED, feed, delivery_id],
        )
    return found


def _load(zone: CouncilZone, run: FeedRun, delivery_ids: Sequence[str]) -> None:
    run.loaded = load_feed(zone, run.feed, delivery_ids).report
    if run.loaded.blocking_failure:
        run.failure = (
            "too much was refused or set aside, so nothing of it was sealed. "
            f"The reasons are in {zone.home.quarantine(run.feed).relative_to(zone.home.root)} and on the feed's page."
        )


def _seal(zone: CouncilZone, run: FeedRun, delivery_ids: Sequence[str], night: date) -> None:
    if zone.contracts[run.feed].holds_people:
        run.addresses = match_feed(zone, run.feed)
    run.sealed = seal_feed(zone, run.feed, delivery_ids, night)


def _try(run: FeedRun, step: Callable[[], None]) -> None:
    try:
        step()
    except STOPS_THE_RUN:
        raise
    except SAYS_WHAT_TO_DO as error:
        run.failure = str(error)
    except Exception as error:
        # An unforeseen error's text may hold a value of a row: only its kind is told.
        run.failure = (
            f"stopped by {type(error).__name__}, which is a fault of the program. Set DOORSTEP_TRACEBACK=1."
        )
        run.error = error


def _waiting(zone: CouncilZone, feed: str) -> list[str]:
    return [each.delivery_id for each in deliveries(zone, feed) if each.state in (REGISTERED, CHECKED)]
