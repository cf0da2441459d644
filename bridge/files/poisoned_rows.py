"""Rows that a parser could read and nobody should: a NUL byte in them, or a field that is far too long."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from bridge.files.hostile_files import MAXIMUM_FIELD_CHARACTERS
from bridge.files.parsed_file import ROW_NUMBER, UnreadableRow

NUL_RULE = ("no NUL bytes in a field", "Take the NUL byte out of the record and send it again.")
LENGTH_RULE = (
    f"a field holds at most {MAXIMUM_FIELD_CHARACTERS} characters",
    "Shorten the field, or look for a quotation mark that is never closed.",
)


def without_poisoned_rows(rows: pa.Table) -> tuple[pa.Table, list[UnreadableRow]]:
    """Set rows aside that hold a NUL byte or a field that is far too long."""
    nul = too_long = pa.array([False] * rows.num_rows, pa.bool_())
    for name in rows.column_names[1:]:
        texts = pc.fill_null(rows.column(name), "").combine_chunks()
        nul = pc.or_(nul, pc.match_substring(texts, "\0"))
        too_long = pc.or_(too_long, pc.greater(pc.utf8_length(texts), MAXIMUM_FIELD_CHARACTERS))
    poisoned = []
    for mask, (rule, remedy) in ((nul, NUL_RULE), (pc.and_not(too_long, nul), LENGTH_RULE)):
        for row in rows.filter(mask).to_pylist():
            number = row.pop(ROW_NUMBER)
            # A field that is far too long is cut off: quarantine is no place for an attack either.
            raw = {name: text and text[:MAXIMUM_FIELD_CHARACTERS] for name, text in row.items()}
            poisoned.append(UnreadableRow(number, rule, remedy, raw))
    return rows.filter(pc.invert(pc.or_(nul, too_long))), poisoned
