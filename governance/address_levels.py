"""How the homes of a delivery's records were found: words that both zones count by."""

from __future__ import annotations

GIVEN, NO_ADDRESS = "given", "no_address"
"""The partner gave the UPRN; the row has neither a UPRN nor an address."""

AS_WRITTEN, SURE, LIKELY = "as_written", "sure", "likely"
PARENT, AMBIGUOUS, UNMATCHED = "parent", "ambiguous", "unmatched"

MATCH_LEVELS = (AS_WRITTEN, SURE, LIKELY, PARENT, AMBIGUOUS, UNMATCHED)
"""How an address text is matched, best first. The first three have a UPRN; `parent` has that of the building."""

HOME_LEVELS = (GIVEN, *MATCH_LEVELS, NO_ADDRESS)
"""Every row of a table of people with addresses has one of these."""
