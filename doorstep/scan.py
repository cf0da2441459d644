"""`doorstep scan`: look for the county's clear identifiers in everything that the analytics zone wrote."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

Also = Annotated[
    list[Path] | None, typer.Option("--also", help="A further file or folder to scan: logs, temporary files.")
]


def scan(also: Also = None, as_json: AsJson = False) -> None:
    """Scan the analytics zone for names, addresses and numbers of the council's vault, with planted canaries.

    Reads files, compressed files, stores, logs and sealed packages, in every encoding that docs/scanner.md lists.
    With --json: the fields of `governance.scanner.ScanReport`. Exits with 1 when an identifier is found, a canary is
    not, or something cannot be read.
    """
    from dataclasses import asdict

    from evaluation.scanning import scan_home

    began = perf_counter()
    report = scan_home(Home.from_environment(), also or ())
    seconds = perf_counter() - began
    if as_json:
        print_json(asdict(report))
    else:
        console.print(
            f"Read {report.files:,} files ({report.bytes_read / 1e6:,.0f} MB), {report.cells:,} cells and "
            f"{report.packages_opened:,} opened packages for {sum(report.identifiers.values()):,} identifiers in "
            f"{len(report.encodings)} encodings: {sum(report.hits_by_kind.values())} found, in {seconds:,.0f} s. "
            f"Canaries: {report.canaries_found} of {report.canaries_planted} found."
        )
        for hit in report.hits:
            console.print(
                f"[red]found[/] {hit.kind} in {hit.file}, {hit.place}, {hit.written} ({hit.value_hash}). {hit.remedy}",
                highlight=False,
            )
        for path in report.unreadable:
            console.print(
                f"[red]cannot be read[/] {path}: look at it by hand, or delete it.", highlight=False
            )
        for canary in report.canaries_missed:
            console.print(f"[red]canary missed[/] {canary}: the scanner is blind here.", highlight=False)
    if not report.holds:
        errors.print("[red]The scan does not hold[/]: see what was found above.")
        raise typer.Exit(1)
