"""The analytics zone as a Dagster resource."""

from __future__ import annotations

import dagster as dg

from stores.analytics import AnalyticsZone
from stores.home import Home


class DataCentre(dg.ConfigurableResource):
    """Opens the analytics zone of the home that `DOORSTEP_HOME` names: paths and the zone's own keys."""

    def zone(self) -> AnalyticsZone:
        return AnalyticsZone.open(Home.from_environment())
