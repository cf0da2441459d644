"""`doorstep keys`: root keys of both zones."""

from __future__ import annotations

import typer

from doorstep.console import console
from stores.home import Home
from stores.keys import ANALYTICS_ROOTS, COUNCIL_ROOTS, create_missing_keys, zone_keys

app = typer.Typer(help="Root keys of both zones.", no_args_is_help=True)


@app.command("init")
def init() -> None:
    """Make a random key for every root that has none yet. Never replaces a key."""
    from exchange.sealed import publish_public_key

    home = Home.from_environment()
    made = 0
    for zone, folder, names in (
        ("council", home.council_keys, COUNCIL_ROOTS),
        ("analytics", home.analytics_keys, ANALYTICS_ROOTS),
    ):
        made += len(create_missing_keys(folder, names))
        publish_public_key(zone_keys(zone, folder), zone, home)
    if made:
        console.print(
            f"Made {made} development keys, readable by you alone. Keep real keys in a key service."
        )
    else:
        console.print("All keys are there already.")


@app.command("audience")
def audience(name: str) -> None:
    """Print the key that opens the marts published for audience NAME, for use in an environment variable."""
    from stores.encrypted import storage_key

    home = Home.from_environment()
    print(storage_key(zone_keys("analytics", home.analytics_keys), f"published/{name}"))
