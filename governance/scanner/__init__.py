"""The scanner: no clear identifier in anything that the analytics zone wrote.

It reads what a curious person could: the bytes of every file, what compressed files hold, the decoded cells of every
store (bytes alone miss compressed strings), sealed packages opened with the analytics zone's own key, and all of it
again with each of `encodings.ENCODINGS` undone. Canaries are planted first, in every encoding in every kind of store;
a scan that misses one has failed. A report holds counts, file names and keyed hashes, never a value.
"""

from governance.scanner.report import Hit, ScanReport
from governance.scanner.scan import scan_analytics

__all__ = ["Hit", "ScanReport", "scan_analytics"]
