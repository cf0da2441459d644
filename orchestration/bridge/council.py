"""The council zone as a Dagster resource."""

from __future__ import annotations

import dagster as dg

from bridge.zone import CouncilZone
from stores.home import Home


class Council(dg.ConfigurableResource):
    """Opens the council zone of the home that `DOORSTEP_HOME` names: paths, keys and contracts."""

    def zone(self) -> CouncilZone:
        return CouncilZone.open(Home.from_environment())
