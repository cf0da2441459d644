"""Searching content and columns: every reading of a text, every integer, every unkeyed digest."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from governance.scanner.needles import Found, Needles
from governance.scanner.report import Tally
from governance.scanner.undoing import AS_IT_IS, base64_runs, decoded_hexadecimal, readings
from governance.scanner.unpacking import UnpackingError, embedded, is_packed, unpacked

CHUNK_BYTES = 1 << 20
OVERLAP_BYTES = 1024
DIGEST = "unkeyed digest"
CELLS_AT_ONCE = 50_000


@dataclass(frozen=True)
class Search:
    """What is looked for and what was found so far."""

    needles: Needles
    tally: Tally

    def content(
        self,
        content: bytes | mmap.mmap,
        file: str,
        place: str,
        *,
        numbers: bool = True,
        encrypted: bool = False,
    ) -> None:
        """Search bytes in every reading, chunk by chunk.

        Without `numbers`, digits in the bytes as they are count for nothing. If `encrypted`, what comes after the
        first chunk, which has the header, is read as it is: there is no text in ciphertext to undo.
        """
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = bytes(content[start : start + CHUNK_BYTES + OVERLAP_BYTES])
            if encrypted and start:
                lower = chunk.lower()
                self._note(self.needles.found_in(lower, numbers=numbers), file, place, AS_IT_IS, len(lower))
                continue
            for written, reading in readings(chunk):
                self._note(
                    self.needles.found_in(reading, numbers=numbers), file, place, written, len(reading)
                )
            for decoded in decoded_hexadecimal(chunk):
                self._note(self.needles.digests_in(decoded), file, place, DIGEST, len(decoded))
            for inside in embedded(base64_runs(chunk)):
                self._note(
                    self.needles.found_in(inside.lower()), file, place, "packed in base64", len(inside)
                )

    def packed(self, content: bytes, file: str, place: str) -> None:
        """Search what compressed `content` holds. Raises `UnpackingError`."""
        for piece in unpacked(content):
            self.content(piece, file, f"{place}, unpacked")

    def column(self, column: pa.ChunkedArray, file: str, place: str) -> None:
        """Search the distinct cells of an Arrow column: numbers as numbers, texts and bytes in every reading."""
        kind = column.type
        self.tally.cells += len(column)
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = column.type
        if pa.types.is_boolean(kind) or pa.types.is_null(kind):
            return
        if pa.types.is_integer(kind):
            whole = pc.unique(column).drop_null().cast(pa.int64(), safe=False).to_numpy(zero_copy_only=False)
            self._note(self.needles.found_among(whole), file, place, AS_IT_IS, whole.nbytes)
        elif pa.types.is_nested(kind):
            self.cells((json.dumps(cell, default=str) for cell in column.to_pylist()), file, place)
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_binary(kind):
            self.cells(pc.unique(column).to_pylist(), file, place)
        else:
            # Dates and decimals: no encoded text fits in one.
            text = "\n".join(pc.unique(column).drop_null().cast(pa.string()).to_pylist()).encode().lower()
            self._note(self.needles.found_in(text), file, place, AS_IT_IS, len(text))

    def cells(self, cells: Iterable[str | bytes | None], file: str, place: str) -> None:
        """Search texts and bytes in every reading; compressed ones are unpacked."""
        held = [cell for cell in cells if cell]
        encoded = [cell.encode(errors="replace") if isinstance(cell, str) else cell for cell in held]
        self.content(b"\n".join(encoded), file, place)
        for cell in held:
            if isinstance(cell, bytes) and is_packed(cell[:262]):
                try:
                    self.packed(cell, file, place)
                except UnpackingError:
                    continue  # It only looks compressed.

    def _note(self, found: Found, file: str, place: str, written: str, searched: int) -> None:
        self.tally.bytes_searched += searched
        for kind, value in found:
            # What is seen as it is needs no other reading to be told.
            self.tally.found.setdefault((kind, value, file, place), written)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
