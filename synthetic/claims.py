"""Benefit claims: housing benefit and universal credit, from incomes, tenure, age and lost jobs.

Published (feeds.md): 2.3m housing benefit claims of 24.7m households; 23 % of private renters on universal
credit. Assumed: the shares of the other tenures, that pensioners who rent claim housing benefit and households
of working age both kinds, and that those of the lowest income claim.
"""

from __future__ import annotations

import numpy as np

from synthetic.circumstances import HOUSING_BENEFIT, UNIVERSAL_CREDIT, Claims
from synthetic.dates import OPEN, Days
from synthetic.streams import stream

# By tenure (owner, private, social): share of households with a lasting claim.
CREDIT_SHARE = np.array([0.035, 0.235, 0.36])
BENEFIT_SHARE_WORKING_AGE = np.array([0.0, 0.10, 0.38])
BENEFIT_SHARE_PENSIONERS = np.array([0.0, 0.58, 0.76])
PENSION_AGE = 66
_CLAIM_AFTER_JOB_LOSS = np.array([0.25, 0.75, 0.85])


def make_claims(
    household: np.ndarray,
    tenure: np.ndarray,
    start: Days,
    end: Days,
    lead_age: np.ndarray,
    need: np.ndarray,
    capped: np.ndarray,
    job_loss: tuple[np.ndarray, Days, Days, np.ndarray],
    seed: int,
    last_day: int,
) -> Claims:
    """Make claims from households' stays (one position each: household, tenure, days, age of the head at the
    end of the window, need between 0 and 1 within its tenure, largest first) and from lost jobs (household,
    first and last day, tenure).

    A claim ends with the stay; one that outlasts `last_day` goes on (`OPEN`).
    """
    random = stream(seed, "benefits")
    old = lead_age >= PENSION_AGE
    benefit_share = np.where(old, BENEFIT_SHARE_PENSIONERS[tenure], BENEFIT_SHARE_WORKING_AGE[tenure])
    credit_share = np.where(old, 0.0, CREDIT_SHARE[tenure] / (1 - BENEFIT_SHARE_WORKING_AGE[tenure]))
    either = benefit_share + (1 - benefit_share) * credit_share
    rows = np.flatnonzero(need < either)
    share = benefit_share[rows] / either[rows]
    kind = np.where(random.random(len(rows)) < share, HOUSING_BENEFIT, UNIVERSAL_CREDIT)
    begins = start[rows] + random.integers(0, 60, len(rows))
    lost, lost_start, lost_end, lost_tenure = job_loss
    takes = random.random(len(lost)) < _CLAIM_AFTER_JOB_LOSS[lost_tenure]
    takes &= ~np.isin(lost, household[rows])
    lost_begins = lost_start[takes] + random.integers(5, 45, takes.sum())
    lost_ends = np.where(
        lost_end[takes] >= last_day, OPEN, lost_end[takes] + random.integers(10, 60, takes.sum())
    )
    who = np.concatenate([household[rows], lost[takes]])
    first = np.concatenate([begins, lost_begins]).astype(np.int32)
    last = np.concatenate([end[rows], lost_ends]).astype(np.int32)
    kinds = np.concatenate([kind, np.full(takes.sum(), UNIVERSAL_CREDIT)]).astype(np.int8)
    last = np.where(last >= last_day, OPEN, last)
    hit = np.concatenate([capped[rows], np.zeros(takes.sum(), dtype=bool)])
    kept = np.flatnonzero((first <= last) & (first < last_day))
    kept = kept[np.lexsort((first[kept], who[kept]))]
    passported = random.random(len(kept)) < np.where(kinds[kept] == HOUSING_BENEFIT, 0.55, 0.35)
    return Claims(who[kept], kinds[kept], first[kept], last[kept].astype(np.int32), passported, hit[kept])
