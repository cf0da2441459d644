"""Versions of records: when a partner's system shows something new about each."""

from __future__ import annotations

import numpy as np

from synthetic.dates import OPEN, Days


def versions(opened: np.ndarray, *changes: np.ndarray) -> tuple[np.ndarray, Days]:
    """Return the record and the day of every version, in order of record and day.

    `opened` is the day on which each record first shows; each of `changes` a later day on which it changes
    (`OPEN`: never). Changes before the opening are part of the first version; two on one day are one version.
    """
    record, day = [np.arange(len(opened))], [np.asarray(opened, dtype=np.int32)]
    for change in changes:
        rows = np.flatnonzero((change < OPEN) & (change > opened))
        record.append(rows)
        day.append(np.asarray(change[rows], dtype=np.int32))
    every_record, every_day = np.concatenate(record), np.concatenate(day)
    order = np.lexsort((every_day, every_record))
    every_record, every_day = every_record[order], every_day[order]
    fresh = np.ones(len(order), dtype=bool)
    fresh[1:] = (every_record[1:] != every_record[:-1]) | (every_day[1:] != every_day[:-1])
    return every_record[fresh], every_day[fresh]
