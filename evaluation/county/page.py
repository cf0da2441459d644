"""The county's report as one HTML page without any outside resource."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, select_autoescape
from markupsafe import Markup

from evaluation.county import plots as county_plots
from evaluation.county.figures import FULL_SIZE, Estimate, Figure, Unit, Verdict
from evaluation.county.report import CountyJudged

TEMPLATE = Path(__file__).with_name("page.html.j2")
STYLE = Path(__file__).parents[1] / "page_style.css.j2"

SECTIONS = (
    ("homes", "Homes and people", "Who lives here and how they move."),
    ("homelessness", "Homelessness", "Duties owed, by whom and why, and what the H-CLIC file says of them."),
    ("money", "Money", "Rents, arrears, benefits and council tax."),
    ("children", "Children", "Children in need, absence from school and free meals."),
    (
        "oracle",
        "What could be known",
        "The oracle knows each household's true chance of a duty. Nobody can do better than it but by luck, and a "
        "county is accepted only if its top 1 % holds 20 to 35 % of the duties of the next six months.",
    ),
    (
        "lead",
        "How long before",
        "Days from the first sign of trouble that a partner held to the duty, by the way in which the home was lost. "
        "Some ways give no warning.",
    ),
    (
        "hub",
        "What the hub's help seems to do, and does",
        "Help is offered first to those at high risk. So those who took it look worse than the rest; only beside "
        "households of equal true chance does the help show.",
    ),
    ("missing", "What the files lack", "Identifiers that records of people do not carry."),
    (
        "errors",
        "Errors in the files",
        "Records drawn at random, one of each person in each system, compared with the true person behind them.",
    ),
    (
        "correlation",
        "Whom errors hit",
        "Errors are likelier for private renters, recent movers, the young and people whose names come from elsewhere: "
        "independent errors would make linkage and fairness look better than they are.",
    ),
    (
        "other",
        "Without a measure",
        "Lines of the calibration table that this report does not know how to measure yet.",
    ),
)
_MARKS = {Verdict.HOLDS: "✓", Verdict.OFF: "✗", Verdict.SHOWN: "·", Verdict.NOT_MEASURED: "?"}


def write_page(judged: CountyJudged, path: Path) -> Path:
    """Write the page and return its path; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(judged), encoding="utf-8")
    return path


def page(judged: CountyJudged) -> str:
    """Return the page as HTML."""
    environment = Environment(
        autoescape=select_autoescape(default=True, default_for_string=True), undefined=StrictUndefined
    )
    sections = []
    for key, title, text in SECTIONS:
        figures = [figure for figure in judged.figures if figure.group == key]
        if figures:
            sections.append((key, title, text, figures))
    tally = Counter({str(verdict): 0 for verdict in Verdict})
    tally.update(str(figure.verdict) for figure in judged.figures)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        judged=judged,
        style=Markup(STYLE.read_text(encoding="utf-8")),  # noqa: S704 our own file
        households=int(judged.parameters["households"]),
        full_size=FULL_SIZE,
        sections=sections,
        tally=tally,
        marks=_MARKS,
        plots={name: Markup(svg) for name, svg in _plots(judged).items()},  # noqa: S704 made here, from numbers
        value=lambda figure: amount(figure.estimate.value, figure.unit),
        interval=_interval,
        counted=_counted,
        wanted=told_wanted,
        sentence=lambda text: f"{text.rstrip('.')}.",
        matrix=_matrix(judged),
        share=lambda found: amount(found.value, Unit.SHARE),
        days=lambda days: "–" if math.isnan(days) else f"{days:g}",
    )


def _matrix(judged: CountyJudged) -> dict[str, Any]:
    """Return the error rates as rows of kinds by columns of systems."""
    feeds = list(dict.fromkeys(rate.feed for rate in judged.error_rates))
    kinds = list(dict.fromkeys(rate.kind for rate in judged.error_rates))
    found = {(rate.kind, rate.feed): rate.found for rate in judged.error_rates}
    return {"feeds": feeds, "rows": [(kind, [found.get((kind, feed)) for feed in feeds]) for kind in kinds]}


def told(figure: Figure) -> str:
    """Return the county's value with its interval."""
    if figure.estimate is None:
        return "–"
    return f"{amount(figure.estimate.value, figure.unit)} ({_interval(figure)})"


def told_wanted(figure: Figure) -> str:
    """Return what is wanted with its band."""
    if figure.wanted is None:
        return "–"
    wanted, unit = figure.wanted, figure.unit
    return f"{amount(wanted.value, unit)} ({amount(wanted.low, unit)} to {amount(wanted.high, unit)})"


def amount(value: float, unit: Unit) -> str:
    """Return a value as people read it in its unit."""
    match unit:
        case Unit.SHARE:
            return f"{100 * value:.{_digits(100 * value)}f} %"
        case Unit.POUNDS:
            return f"£{value:,.0f}"
        case Unit.WEEKS | Unit.DAYS:
            return f"{value:,.1f}"
        case _:
            return f"{value:,.{_digits(value)}f}"


def _digits(value: float) -> int:
    """Two digits after the point for small numbers, one from ten, three below a tenth."""
    return 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 or value == 0 else 3


def _interval(figure: Figure) -> str:
    found = figure.estimate or Estimate(math.nan, math.nan, math.nan, 0, 0)
    return f"{amount(found.low, figure.unit)} to {amount(found.high, figure.unit)}"


def _counted(figure: Figure) -> str:
    if figure.estimate is None:
        return "–"
    if figure.unit in (Unit.SHARE, Unit.PER_1000):
        return f"{figure.estimate.count:,.0f} of {figure.estimate.base:,.0f}"
    return f"{figure.estimate.base:,.0f}"


def _plots(judged: CountyJudged) -> dict[str, str]:
    wanted = [
        figure
        for figure in judged.figures
        if figure.group not in ("errors", "correlation", "missing", "other")
    ]
    errors = [
        figure for figure in judged.figures if figure.group == "errors" and figure.wanted and figure.estimate
    ]
    lead = [one for one in judged.lead_times if one.with_sign]
    plots = {
        "forest": county_plots.forest(
            "figures", wanted, "This county's figures over what is wanted; the same as in the tables"
        ),
        "feeds": county_plots.feed_bytes(
            judged.feeds, "Megabytes and rows by feed; the same as in the table"
        ),
        "concentration": "",
        "calibration": "",
        "errors": "",
        "lead": "",
        "hub": "",
    }
    if judged.oracle.events:
        top = ", ".join(f"{held:.0%} in the top {place:.0%}" for place, held in judged.oracle.tops)
        plots["concentration"] = county_plots.concentration(judged.oracle, f"Share of coming duties: {top}")
        plots["calibration"] = county_plots.calibration(
            judged.oracle, "True chance against what came, in groups; near the diagonal"
        )
    if errors:
        plots["errors"] = county_plots.forest(
            "errors", errors, "Error rates found over configured; the same as in the table"
        )
    if lead:
        plots["lead"] = county_plots.spreads(
            [f"{one.route.replace('_', ' ')} ({one.with_sign} of {one.events})" for one in lead],
            [one.quantiles for one in lead],
            "days before the duty",
            "Lead times by route; the same as in the table",
        )
    effects = [
        figure
        for figure in judged.figures
        if figure.group == "hub" and figure.unit is Unit.RATIO and figure.estimate
    ]
    if effects:
        plots["hub"] = county_plots.bars(
            [figure.title for figure in effects],
            [(f.estimate.value, f.estimate.low, f.estimate.high) for f in effects if f.estimate],
            "ratio of duties, helped over not helped",
            "Effect of help, naive and adjusted; the same as in the table",
        )
    return plots
