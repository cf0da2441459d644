"""The night of a run: the one date that time comes in by, so that no result depends on the clock."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration.names import TIME_ZONE


class Night(dg.ConfigurableResource):
    """The date a run counts from. Schedules and `doorstep refresh` set it; a run by hand takes today in London."""

    date: str = ""

    def day(self) -> datetime.date:
        if self.date:
            return datetime.date.fromisoformat(self.date)
        return datetime.datetime.now(ZoneInfo(TIME_ZONE)).date()


def night_config(night: datetime.date) -> dict[str, object]:
    """Run configuration that sets the night."""
    return {"resources": {"night": {"config": {"date": night.isoformat()}}}}


def scheduled_night(context: dg.ScheduleEvaluationContext) -> datetime.date:
    """The night a scheduled run is for: the day of its scheduled time in London."""
    return context.scheduled_execution_time.astimezone(ZoneInfo(TIME_ZONE)).date()
