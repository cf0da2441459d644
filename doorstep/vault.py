"""`doorstep vault`: the council's vaults, counted and checked. Never prints an identity."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from doorstep.console import AsJson, console, print_json
from stores.home import Home

if TYPE_CHECKING:
    from bridge.zone import CouncilZone

app = typer.Typer(help="The council's vaults: counted and checked.", no_args_is_help=True)

PartnerOption = Annotated[str | None, typer.Option("--partner", help="This partner's vault only.")]


@app.command("status")
def status(partner: PartnerOption = None, as_json: AsJson = False) -> None:
    """Count what each partner's vault holds, without opening an identity.

    With --json: a list, one object per vault: `partner`, `subjects`, `identities` (with those of before), `erased`,
    `shredded`, `unused_keys`, `keys_of_erased`.
    """
    from bridge.vault.vault import open_vault
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    counted: list[dict[str, Any]] = []
    for each in _partners(zone, partner):
        with open_vault(zone, each) as vault:
            counted.append(asdict(vault.status()))
    _show(counted, as_json)


@app.command("verify")
def verify(partner: PartnerOption = None, as_json: AsJson = False) -> None:
    """Open every identity, of now and before, and count those that cannot be read; fails if there is one.

    With --json: a list, one object per vault: `partner`, `subjects`, `erased`, `unreadable`.
    """
    from bridge.vault.vault import open_vault
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    checked: list[dict[str, Any]] = []
    for each in _partners(zone, partner):
        with open_vault(zone, each) as vault:
            checked.append({"partner": each, **asdict(vault.verify())})
    _show(checked, as_json)
    if any(vault["unreadable"] for vault in checked):
        raise typer.Exit(1)


def _partners(zone: CouncilZone, partner: str | None) -> list[str]:
    partners = sorted({contract.partner for contract in zone.contracts.values()})
    if partner is not None and partner not in partners:
        raise typer.BadParameter(f"no contract has partner {partner}; there are {', '.join(partners)}")
    return [each for each in partners if partner in (None, each) and zone.home.vault_db(each).is_file()]


def _show(rows: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("No vault yet: nothing has been pseudonymised.")
        return
    table = Table(*(name.replace("_", " ") for name in rows[0]))
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else value for value in row.values()))
    console.print(table)
