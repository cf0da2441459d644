"""`doorstep scan`: look for the county's clear identifiers in everything that the analytics zone wrote."""

from __future__ import annotations

import typer

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home


def scan(as_json: AsJson = False) -> None:
    """Scan the analytics zone for names, addresses and numbers of the council's vault, with planted canaries.

    With --json: the fields of `governance.scanner.ScanReport`. Exits with 1 when an identifier is found, or a
    canary is not.
    """
    from dataclasses import asdict

    from evaluation.scanning import scan_home

    report = scan_home(Home.from_environment())
    if as_json:
        print_json(asdict(report))
    else:
        console.print(
            f"Read {report.files:,} files and {report.cells:,} cells for "
            f"{sum(report.identifiers.values()):,} identifiers: "
            f"{len(report.hits)} found. Canaries: {report.canaries_found} of {report.canaries_planted} found."
        )
        for hit in report.hits:
            console.print(
                f"[red]found[/] {hit.kind} in {hit.file}, {hit.place} ({hit.value_hash})", highlight=False
            )
        for path in report.unreadable:
            console.print(f"[red]cannot be read[/] {path}", highlight=False)
    if not report.holds:
        errors.print("[red]The scan does not hold[/]: see what was found above.")
        raise typer.Exit(1)
