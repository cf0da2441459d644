"""`doorstep linkage review`: pairs of records judged by people, and what their verdicts say of linkage."""

from __future__ import annotations

import os
import pwd
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from doorstep.console import AsJson, console, errors, print_json
from stores.home import Home

if TYPE_CHECKING:
    from bridge.review.pairs import OpenedPair
    from linkage.review.estimate import Estimate, ReviewEstimate

app = typer.Typer(
    help="Clerical review: people judge pairs of records on the council's side; precision and recall from that.",
    no_args_is_help=True,
)

KEYS = {"m": "match", "n": "non-match", "c": "cannot tell"}
STOP, SKIP = "q", "s"

SampleId = Annotated[
    str, typer.Argument(metavar="SAMPLE", help="A sample's name, as `review list` shows it.")
]
Officer = Annotated[str, typer.Option("--officer", help="Your short name in council/officers.yaml.")]


@app.command("sample")
def sample(
    pairs: Annotated[int, typer.Option(help="About how many pairs to ask about.")] = 600,
    seed: Annotated[int, typer.Option(help="The same seed draws the same pairs on the same day.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Analytics zone: draw pairs around the threshold from what the last night linked, and seal them to the council.

    Only record references cross. With --json: `sample_id`, `pairs`, `below_floor` and `strata` (label, pairs, drawn).
    """
    from governance.linkage_review import read_review_rules
    from linkage.model import read_model
    from linkage.review.store import send_sample
    from stores.analytics import AnalyticsZone

    largest = read_review_rules().largest_sample
    if pairs > largest:
        raise typer.BadParameter(f"the council takes at most {largest} pairs (contracts/linkage_review.yaml)")
    zone = AnalyticsZone.open(Home.from_environment())
    drawn = send_sample(zone, read_model(), pairs, seed, _now().date())
    strata = [{"label": each.label, "pairs": each.pairs, "drawn": each.drawn} for each in drawn.strata]
    if as_json:
        print_json(
            {
                "sample_id": drawn.sample_id,
                "pairs": drawn.pairs.num_rows,
                "below_floor": drawn.below_floor,
                "strata": strata,
            }
        )
        return
    table = Table("pairs by match weight (bits)", "there are", "drawn", title=f"Sample {drawn.sample_id}")
    for each in strata:
        table.add_row(str(each["label"]), f"{each['pairs']:,}", f"{each['drawn']:,}")
    console.print(table)
    console.print(
        f"{drawn.pairs.num_rows} pairs are sealed to the council; there, `doorstep linkage review judge` shows them."
    )


@app.command("again")
def again(
    sample_id: SampleId,
    seed: Annotated[int, typer.Option(help="The same seed hides them among the same pairs.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Analytics zone: have the verdicts that go against linkage looked at again, hidden among as many others.

    Judge and return the new sample as the first, by another reviewer. Where the two differ, nobody can tell; the
    estimate of the first sample takes that in. With --json: `sample_id`, `pairs`.
    """
    from linkage.review.store import send_again
    from stores.analytics import AnalyticsZone

    zone = AnalyticsZone.open(Home.from_environment())
    name, pairs = send_again(zone, sample_id, seed, _now().date())
    if as_json:
        print_json({"sample_id": name, "pairs": pairs})
    else:
        console.print(f"{pairs} pairs are sealed to the council as sample {name}.", highlight=False)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Council: receive samples and show how far each is. Counts only.

    With --json: `samples` (sample_id, drawn_on, closed_on, pairs, judged, refused), `waiting`, `refused` (packages).
    Exits with 1 if a package was refused.
    """
    from bridge.review.samples import list_samples, receive_samples
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    report = receive_samples(zone, _now().date())
    samples = list_samples(zone)
    if as_json:
        print_json(
            {
                "samples": [asdict(each) for each in samples],
                "waiting": report.waiting,
                "refused": [asdict(each) for each in report.refused],
            }
        )
    else:
        table = Table("sample", "pairs", "judged", "could not be shown", "closed")
        for each in samples:
            closed = f"{each.closed_on}" if each.closed_on else ""
            table.add_row(each.sample_id, f"{each.pairs:,}", f"{each.judged:,}", f"{each.refused:,}", closed)
        console.print(table)
        for name in report.waiting:
            console.print(f"{name} waits until an open sample is closed.")
        for refusal in report.refused:
            errors.print(f"[bold red]refused[/]: {refusal.name}: {refusal.reason}", highlight=False)
    if report.refused:
        raise typer.Exit(1)


@app.command("judge")
def judge(
    sample_id: SampleId,
    officer: Officer,
    purpose: Annotated[
        str, typer.Option("--purpose", help="What for: a purpose of contracts/linkage_review.yaml.")
    ] = "linkage_quality",
) -> None:
    """Council: show pair after pair on this terminal, two records side by side, and take your verdict on each.

    m: one person. n: two people. c: cannot tell. s: later. q: stop; what you said is kept. Each record shown is a line
    of the audit log and one of the day's openings of your role. Identities go to a terminal only.
    """
    from bridge.cases.reidentify import RefusedError
    from bridge.review.pairs import LASTING_REFUSALS, PairRequest, open_pair
    from bridge.review.samples import keep_verdict, next_pair
    from bridge.zone import CouncilZone

    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        errors.print("Identities are shown on a terminal only: run this without a pipe or a redirection.")
        raise typer.Exit(2)
    zone = CouncilZone.open(Home.from_environment())
    # The account is what the kernel says, not what the environment says.
    account = pwd.getpwuid(os.getuid()).pw_name
    later: set[int] = set()
    while (number := next_pair(zone, sample_id, officer, later)) is not None:
        try:
            pair = open_pair(zone, PairRequest(sample_id, number, officer, purpose, account, _now()))
        except RefusedError as refusal:
            if refusal.reason not in LASTING_REFUSALS:
                raise
            console.print(f"Pair {number} cannot be shown: {refusal}", highlight=False, markup=False)
            continue
        _show(pair)
        answer = _answer()
        if answer == STOP:
            return
        if answer == SKIP:
            later.add(number)
            continue
        keep_verdict(zone, sample_id, number, officer, pair.role, KEYS[answer], _now())
    console.print("There is no pair left for you in this sample.")


@app.command("return")
def return_(
    sample_id: SampleId,
    close: Annotated[
        bool, typer.Option("--close", help="Take no more verdicts on this sample afterwards.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Council: seal the verdicts of a sample to the analytics zone: references and verdict, nothing else.

    With --json: `sample_id`, `verdicts`, `cannot_tell`, and `agreement` of two reviewers (pairs, agreeing, kappa).
    """
    from bridge.review.samples import return_verdicts
    from bridge.zone import CouncilZone

    zone = CouncilZone.open(Home.from_environment())
    sent = return_verdicts(zone, sample_id, _now().date(), close=close)
    if as_json:
        print_json(asdict(sent))
        return
    console.print(f"{sent.verdicts} verdicts are sealed, {sent.cannot_tell} of them that nobody can tell.")
    if sent.agreement is not None:
        console.print(
            f"Two reviewers agree in {sent.agreement.agreeing:.1%} of {sent.agreement.pairs} pairs that both judged, "
            f"Cohen's kappa {sent.agreement.kappa:.2f}."
        )


@app.command("estimate")
def estimate(as_json: AsJson = False) -> None:
    """Analytics zone: take in the verdicts that came back and print precision and recall with 95 % intervals.

    Of the newest sample with verdicts. With --json: `sample_id`, `model_version`, `below_floor`, `estimate` (the
    fields of `linkage.review.estimate.ReviewEstimate`) and `refused`. Exits with 1 if there are none, or a package was
    refused.
    """
    from linkage.review.store import reviewed_samples, take_verdicts
    from stores.analytics import AnalyticsZone

    zone = AnalyticsZone.open(Home.from_environment())
    report = take_verdicts(zone, _now().date())
    for refusal in report.refused:
        errors.print(f"[bold red]refused[/]: {refusal.name}: {refusal.reason}", highlight=False)
    reviewed = [each for each in reviewed_samples(zone) if each.pairs.num_rows]
    if not reviewed:
        errors.print(
            "No verdict came back yet. `doorstep linkage review return` sends them from the council."
        )
        raise typer.Exit(1)
    newest = reviewed[-1]
    found = newest.estimated()
    if as_json:
        print_json(
            {
                "sample_id": newest.sample_id,
                "model_version": newest.model_version,
                "below_floor": newest.below_floor,
                "estimate": asdict(found),
                "refused": [asdict(each) for each in report.refused],
            }
        )
    else:
        console.print(f"Sample {newest.sample_id}, model {newest.model_version}: {found.judged} pairs judged")
        _show_estimate(found)
        console.print(
            "Recall is over pairs that blocking brought together. It says nothing of those that no rule does, nor of "
            f"{newest.below_floor:,} compared ones below the floor."
        )
    if report.refused:
        raise typer.Exit(1)


def _show(pair: OpenedPair) -> None:
    table = Table(f"pair {pair.number}", "one record", "the other", "")
    for field in pair.fields:
        alike = field.agreement.value
        style = "green" if alike == "same" else "dim" if alike == "held by one" else "red"
        table.add_row(field.name.replace("_", " "), Text(field.left), Text(field.right), Text(alike, style))
    console.print(table)


def _answer() -> str:
    asked = "One person? m: yes, n: no, c: cannot tell, s: later, q: stop"
    while True:
        answer = typer.prompt(asked).strip().lower()
        if answer in {*KEYS, STOP, SKIP}:
            return str(answer)


def _show_estimate(found: ReviewEstimate) -> None:
    table = Table("", "estimate", "95 % interval")
    for name, each in (
        ("precision", found.precision),
        ("recall of compared pairs", found.recall),
        ("B³ precision", found.b_cubed_precision),
    ):
        table.add_row(name, f"{each.value:.4f}", _interval(each))
    console.print(table)
    strata = Table(
        Column("match weight (bits)", no_wrap=True), "pairs", "judged", "unsure", "matches", "share", "model"
    )
    for stratum in found.strata:
        judged = stratum.judged
        strata.add_row(
            stratum.label,
            *(f"{count:,}" for count in (stratum.pairs, judged, stratum.cannot_tell, stratum.matches)),
            f"{stratum.matches / judged:.3f}" if judged else "",
            "" if "never" in stratum.label else f"{stratum.expected:.3f}",
        )
    console.print(strata)
    console.print(
        "model: the share of matches that its weights say. Far from what was judged, they are wrong."
    )
    if found.cannot_tell:
        (low, high), (lowest, highest) = found.if_cannot_tell
        console.print(
            f"Were every pair of which nobody can tell a mistake, or none: precision {low:.4f} to {high:.4f}, "
            f"recall {lowest:.4f} to {highest:.4f}."
        )
    for label in found.unjudged_strata:
        errors.print(f"[yellow]No verdict[/]: {label}. There the model's word counts.", highlight=False)


def _interval(each: Estimate) -> str:
    return f"{each.low:.4f} to {each.high:.4f}"


def _now() -> Any:
    return datetime.now(UTC)
