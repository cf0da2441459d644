"""Feed health: how a feed's deliveries change, and what of it a person should look at. Counts only.

A delivery is compared with those of its kind before it, by delivery date: whatever order they came in, the same
is said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from bridge.deliveries.ledger import DUPLICATE, REFUSED, Delivery, read_deliveries, reading
from bridge.deliveries.profiles import TableProfile, read_profiles
from bridge.zone import CouncilZone

# A delivery is compared with this many of its kind before it: a year of monthly files.
DELIVERIES_COMPARED = 12
# A code is missed when so many of it were to be expected; a rare one is absent by chance.
EXPECTED_TO_MISS = 20
# Published counts leave out 1 to 7 people; what is drawn and told of feeds keeps to the same.
FEWEST_TOLD = 8


@dataclass(frozen=True)
class DeliveryHealth:
    """One table of one delivery with the days that it took to come."""

    delivery: Delivery
    profile: TableProfile

    @property
    def days_to_arrive(self) -> int:
        return (self.delivery.received_date - self.delivery.delivery_date).days


@dataclass(frozen=True)
class Drift:
    """One change that a person should look at. `code` is one of the contract's own."""

    delivery_id: str
    delivery_date: date
    table: str
    column: str | None
    code: str | None
    rows: int
    says: str


@dataclass(frozen=True)
class FeedHealth:
    """The deliveries of one feed by table, in order of delivery date."""

    feed: str
    tables: Mapping[str, tuple[DeliveryHealth, ...]]

    def drift(self, delivery_ids: Collection[str]) -> tuple[Drift, ...]:
        """Return what changed with `delivery_ids`, by table and delivery."""
        chosen = set(delivery_ids)
        return tuple(
            drift
            for history in self.tables.values()
            for position, found in enumerate(history)
            if found.delivery.delivery_id in chosen
            for drift in _drift(found, deliveries_before(history, position))
        )


def feed_health(zone: CouncilZone, feed: str) -> FeedHealth:
    """Read the health of `feed` from the ledger. Raises `KeyUnavailableError`."""
    with reading(zone) as connection:
        if connection is None:
            return FeedHealth(feed, {})
        known = {
            each.delivery_id: each for each in read_deliveries(connection, feed) if each.state != DUPLICATE
        }
        profiles = read_profiles(connection, feed)
    found = [DeliveryHealth(known[each.delivery_id], each) for each in profiles if each.delivery_id in known]
    found.sort(
        key=lambda each: (each.delivery.delivery_date, each.delivery.received_date, each.delivery.delivery_id)
    )
    names = [table.name for table in zone.contracts[feed].tables]
    return FeedHealth(
        feed, {name: tuple(each for each in found if each.profile.table == name) for name in names}
    )


def code_shift(found: DeliveryHealth, before: Sequence[DeliveryHealth], column: str) -> float | None:
    """Return the share of `column`'s codes that would have to change to give the mix of the deliveries before.

    That is the total variation distance, 0 to 1; None where there is nothing to compare.
    """
    now = found.profile.codes.get(column, {})
    then = _pooled(before, column)
    if not sum(now.values()) or not sum(then.values()):
        return None
    codes = now.keys() | then.keys()
    shares = (
        now.get(code, 0) / sum(now.values()) - then.get(code, 0) / sum(then.values())
        for code in sorted(codes)
    )
    return sum(abs(share) for share in shares) / 2


def deliveries_before(history: Sequence[DeliveryHealth], position: int) -> list[DeliveryHealth]:
    """Return the accepted deliveries of the same kind before the one at `position`, at most `DELIVERIES_COMPARED`."""
    kind = history[position].delivery.kind
    accepted = [each for each in history[:position] if each.delivery.state != REFUSED]
    return [each for each in accepted if each.delivery.kind == kind][-DELIVERIES_COMPARED:]


def _drift(found: DeliveryHealth, earlier: Sequence[DeliveryHealth]) -> Iterator[Drift]:
    profile = found.profile
    if profile.new_columns:
        yield _told(
            found, None, None, 0, f"{profile.new_columns} column(s) are not in the contract and were dropped"
        )
    for column in profile.absent_columns:
        yield _told(found, column, None, profile.rows, "the optional column is missing")
    for column, count in profile.unknown_codes.items():
        if count:
            says = f"{count} values are none of the contract's codes; their rows are in quarantine"
            yield _told(found, column, None, count, says)
    for column, counted in profile.codes.items():
        then = _pooled(earlier, column)
        if sum(then.values()):
            yield from _changed_codes(found, column, counted, then)


def _changed_codes(
    found: DeliveryHealth, column: str, now: Mapping[str, int], then: Mapping[str, int]
) -> Iterator[Drift]:
    values, earlier = sum(now.values()), sum(then.values())
    for code, count in now.items():
        if count and not then.get(code):
            yield _told(found, column, code, count, f"{_spoken(count)} have a code that none had before")
        expected = then.get(code, 0) / earlier * values
        if not count and expected >= EXPECTED_TO_MISS:
            yield _told(
                found, column, code, 0, f"none has this code; about {expected:.0f} were to be expected"
            )


def _told(found: DeliveryHealth, column: str | None, code: str | None, rows: int, says: str) -> Drift:
    delivery = found.delivery
    return Drift(delivery.delivery_id, delivery.delivery_date, found.profile.table, column, code, rows, says)


def _spoken(count: int) -> str:
    return f"{count} rows" if count >= FEWEST_TOLD else f"fewer than {FEWEST_TOLD} rows"


def _pooled(deliveries: Sequence[DeliveryHealth], column: str) -> dict[str, int]:
    pooled: dict[str, int] = {}
    for each in deliveries:
        for code, count in each.profile.codes.get(column, {}).items():
            pooled[code] = pooled.get(code, 0) + count
    return pooled
