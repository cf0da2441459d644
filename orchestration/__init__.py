"""Dagster only: the two code locations, their assets, checks, partitions, schedules, sensors and resources."""

import warnings

from dagster import BetaWarning, PreviewWarning

# Single-run backfills and freshness policies are marked beta in 1.13; the tests hold what we use of them.
warnings.filterwarnings("ignore", category=BetaWarning)
warnings.filterwarnings("ignore", category=PreviewWarning)
