"""Clerical review of linkage on a county with known truth: do intervals hold the truth, and what does a sample cost?

The reviewer is simulated; the county is made and linked here, from the partners' files, without a night.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.linkage.review import A_DAY, county_universe, coverage_of_reviews
from linkage.model import read_model
from linkage.review.sample import draw_sample
from stores.home import Home
from synthetic.county import make_county

HOUSEHOLDS, MONTHS, SEED = 5_000, 24, 1
SIZES = (300, 600, 1_200)
REVIEWS = 100
CANNOT_TELL = 0.05


def measure() -> dict[str, Any]:
    """Make and link a county, review it many times at each size, and count the intervals that hold the truth."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        make_county(home, households=HOUSEHOLDS, months=MONTHS, seed=SEED)
        model = read_model()
        universe, person = county_universe(home, model)
    match = person[universe.left] == person[universe.right]
    sizes = np.unique(person, return_counts=True)[1]
    started = time.process_time()
    draw_sample(universe, model, SIZES[-1], SEED, A_DAY)
    seconds = time.process_time() - started
    return {
        "households": HOUSEHOLDS,
        "months": MONTHS,
        "seed": SEED,
        "records": len(universe.record_refs),
        "pairs_in_universe": universe.pairs,
        "pairs_below_floor": universe.below_floor,
        "share_of_true_pairs_in_universe": float(match.sum() / (sizes * (sizes - 1) // 2).sum()),
        "reviews_at_each_size": REVIEWS,
        "cannot_tell": CANNOT_TELL,
        "sample_processor_seconds": round(seconds, 2),
        "coverage": {
            str(size): asdict(coverage_of_reviews(universe, person, model, size, range(REVIEWS), CANNOT_TELL))
            for size in SIZES
        },
    }
