"""`doorstep attack`: try to re-identify what the bridge makes, as an analyst without a key would."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home


def attack(
    which: Annotated[
        str, typer.Argument(help="all, frequency, graph, patterns, dictionary or audiences.")
    ] = "all",
    records: Annotated[
        int | None,
        typer.Option(
            help="Residents to simulate (distinct names for graph, dictionary and audiences: at most this many). "
            "100,000 and 10,000 without it, as promised."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same residents, same keys.")] = 1,
    home: Annotated[
        bool,
        typer.Option("--home", help="Attack this home's own link keys (frequency only), not simulated ones."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the attacks on simulated residents, each with its positive control beside it.

    With --json: `{"results": [{"attack", "target", "knowledge", "records", "recovered", "rate", "chance", "limit",
    "control", "holds", "seconds"}], "holds"}`. Exits with 1 when an attack passes its limit or a control fails:
    then the attacks prove nothing. Fewer residents than promised are easier to tell apart: a small run may fail.

    With --home the council attacks the link keys that its analytics zone holds, knowing what its vaults hold.
    """
    from evaluation.attacks.suite import (
        ATTACKS,
        PROMISED_NAMES,
        PROMISED_RESIDENTS,
        Targets,
        run_attacks,
    )

    if which not in ("all", *ATTACKS):
        raise typer.BadParameter(f"there is no attack {which}; there are all, {', '.join(ATTACKS)}")
    if home and which not in ("all", "frequency"):
        raise typer.BadParameter("--home is for the frequency attack")
    residents = records or PROMISED_RESIDENTS
    targets = Targets(residents, min(residents, PROMISED_NAMES), seed)
    if home:
        from evaluation.attacks.home import HomeTargets

        which, targets = "frequency", HomeTargets(seed=seed, home=Home.from_environment())
    results = []
    for result in run_attacks(which, targets):
        results.append(result)
        errors.print(f"[dim]{result.attack}: {result.target}[/]", highlight=False)
    holds = all(result.holds for result in results)
    if as_json:
        print_json({"results": [result.as_document() for result in results], "holds": holds})
    else:
        table = Table(
            "attack", "target, and what the attacker has", "records", "right", "limit", "", title="Attacks"
        )
        for result in results:
            table.add_row(
                result.attack,
                f"{result.target} [dim]({result.knowledge})[/]",
                f"{result.records:,}",
                f"{result.rate:.3%}",
                _limit(result.limit, result.control),
                _verdict(result.holds, result.control, result.limit),
            )
        console.print(table)
    if not holds:
        errors.print(
            "[red]The promise does not hold[/]: an attack succeeded, or a control did not. See the figures."
        )
        raise typer.Exit(1)


def _limit(limit: float | None, control: bool) -> str:
    if limit is None:
        return "no promise"
    return f"> {limit:.0%}" if control else f"≤ {limit:.2%}"


def _verdict(holds: bool, control: bool, limit: float | None) -> str:
    if limit is None:
        return ""
    if holds:
        return "[green]control[/]" if control else "[green]holds[/]"
    return "[red]CONTROL FAILS[/]" if control else "[red]SUCCEEDS[/]"
