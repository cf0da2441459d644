"""`doorstep keys`: root keys of both zones: made, looked at, rotated, retired."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home
from stores.keys import (
    ANALYTICS_ROOTS,
    COUNCIL_ROOTS,
    FileKeys,
    RegisteredKeys,
    create_missing_keys,
    register_keys,
    zone_keys,
)

app = typer.Typer(help="Root keys of both zones.", no_args_is_help=True)


class Zone(StrEnum):
    """Whose keys."""

    COUNCIL = "council"
    ANALYTICS = "analytics"


class Root(StrEnum):
    """Every root that a zone has."""

    LINKAGE = "linkage"
    STORAGE = "storage"
    EXCHANGE = "exchange"
    PSEUDONYM = "pseudonym"
    IDENTIFIER = "identifier"


ROOTS = {Zone.COUNCIL: COUNCIL_ROOTS, Zone.ANALYTICS: ANALYTICS_ROOTS}

OTHER = {Zone.COUNCIL: Zone.ANALYTICS, Zone.ANALYTICS: Zone.COUNCIL}

ZoneOption = Annotated[Zone, typer.Option("--zone", help="Whose key.")]
OnOption = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="The day to count from; today if not given."),
]


@app.command("init")
def init(
    zone: Annotated[
        Zone | None, typer.Option("--zone", help="One zone's keys only; both if not given.")
    ] = None,
    on: OnOption = None,
) -> None:
    """Make a random key for every root that has none yet, and register all. Never replaces a key.

    A zone's public key is published, and where both zones are here, each trusts the other's from then on.
    """
    from exchange.trust import publish_public_key, trusted_public_key

    home = Home.from_environment()
    made = 0
    zones = [zone] if zone else list(ROOTS)
    for each in zones:
        keys = _keys(home, each)
        if isinstance(keys, FileKeys):
            made += len(create_missing_keys(keys.folder, ROOTS[each], _day(on)))
        else:
            register_keys(keys, ROOTS[each], _day(on))
        publish_public_key(keys, each, home)
    for each in zones if len(zones) > 1 else ():
        trusted_public_key(home, each, OTHER[each])
    if made:
        console.print(
            f"Made {made} development keys, readable by you alone. Keep real keys in a key service."
        )
    else:
        console.print("All keys are there already.")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show every root's versions, and which stores, packages and epochs still need them. Shows no key."""
    from doorstep.keys_status import key_status

    home = Home.from_environment()
    found = key_status(home)
    if as_json:
        print_json({"roots": [asdict(each) for each in found]})
    else:
        _show(found)
    if any(each.problem for each in found):
        raise typer.Exit(1)


@app.command("rotate")
def rotate(
    root: Annotated[Root, typer.Argument(help="linkage, storage or exchange.")],
    zone: ZoneOption = Zone.COUNCIL,
    workers: Annotated[int, typer.Option(help="Processes that encode link keys.")] = 2,
    on: OnOption = None,
    as_json: AsJson = False,
) -> None:
    """Replace a root key by a new one and bring what was made with the old one under it.

    A rotation that was stopped is taken up where it ended. It waits for a refresh that is running.
    """
    from doorstep.keys_rotate import rotate_root
    from stores.encrypted import writer_lock

    home = Home.from_environment()
    # The lock of `doorstep refresh`: nothing else works in this home meanwhile.
    with writer_lock(home.refresh_state):
        done = rotate_root(home, root, zone, _day(on), workers, lambda text: errors.print(f"  {text}"))
    if as_json:
        print_json(done)
    else:
        console.print(", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in done.items()))
        console.print(
            f"The old key opens what is left of it until `doorstep keys retire {root} --zone {zone}`."
        )


@app.command("retire")
def retire(
    root: Root,
    zone: ZoneOption = Zone.COUNCIL,
    version: Annotated[int | None, typer.Option(help="Which one; every older one if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Destroy the old versions of a root key, if nothing needs them any more. Afterwards they open nothing."""
    from doorstep.keys_rotate import retire_root
    from stores.encrypted import writer_lock

    home = Home.from_environment()
    with writer_lock(home.refresh_state):
        retired = retire_root(home, root, zone, version)
    if as_json:
        print_json({"root": root, "zone": zone, "retired": retired})
    elif not retired:
        console.print(f"The {root} root of the {zone} zone has no old version.")
    for each in () if as_json else retired:
        console.print(f"Version {each['version']} ({each['key_id']}) is retired. {each['destroyed']}")


@app.command("trust")
def trust(of: Annotated[Zone, typer.Argument(help="Whose public key.")]) -> None:
    """Let the other zone trust the public key that this one publishes now, after a person has compared it."""
    from exchange.trust import trust_public_key

    fingerprint = trust_public_key(Home.from_environment(), OTHER[of], of)
    console.print(f"The {OTHER[of]} zone trusts this key of the {of} zone now: {fingerprint}")


@app.command("audience")
def audience(name: str) -> None:
    """Print the key that opens the marts published for audience NAME, for use in an environment variable."""
    from stores.analytics import AnalyticsZone
    from stores.encrypted import StoreUnreadableError, opening_key
    from stores.publishing import MARTS_STORE, current_marts

    zone = AnalyticsZone.open(Home.from_environment())
    store = MARTS_STORE.format(audience=name)
    try:
        path = current_marts(zone, name)
    except StoreUnreadableError:
        path = zone.home.published(name)  # Nothing is published yet: the key that it will be under.
    print(opening_key(zone.keys, store, path))


def _keys(home: Home, zone: Zone) -> RegisteredKeys:
    return zone_keys(zone, home.council_keys if zone == Zone.COUNCIL else home.analytics_keys)


def _day(on: datetime | None) -> date:
    return on.date() if on else date.today()


def _show(found: list[Any]) -> None:
    from rich.table import Table

    table = Table("zone", "root", "version", "key", "state", "since", "needed by")
    for each in found:
        stores = sum(count for what, count in each.needed_by.items() if what.startswith("store "))
        others = [
            f"{count} {what}" for what, count in each.needed_by.items() if not what.startswith("store ")
        ]
        listed = [*([f"{stores} store{'s' if stores > 1 else ''}"] if stores else []), *others]
        needed = each.problem or ", ".join(listed) or ("" if each.state == "active" else "nothing")
        table.add_row(
            each.zone, each.root, str(each.version), each.key_id or "?", each.state, each.since or "", needed
        )
    console.print(table)
