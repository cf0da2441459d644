"""Dagster only: the two code locations, their assets, checks, partitions, schedules, sensors and resources."""
