"""Records as the lines of partners' files, in columns: CSV, fixed width, JSON lines, XML.

Each function takes a table's columns of text (by the file's own column name) and gives one piece of text per
record, with its line end. An empty text means that the partner has no value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from governance.contracts import Column, Table

_JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_XML_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_JSON_ESCAPES = (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))
_BARE_JSON_TYPES = {"integer": _JSON_NUMBER, "number": _JSON_NUMBER, "boolean": "^(true|false)$"}


def lines_of(table: Table, columns: Mapping[str, Any]) -> pa.Array:
    """Render every record of `columns`. Raises `KeyError` if a column of the contract is not there."""
    return _RENDERERS[table.format.format](table, columns)


def head_of(table: Table, columns: Mapping[str, Any], feed: str) -> bytes:
    """What stands before the records in a file."""
    match table.format.format:
        case "csv":
            names = [column.physical_name for column in shown_columns(table, columns)]
            line = table.format.delimiter.join(names) + line_end(table)
            return line.encode(table.format.encoding)
        case "xml":
            return f'<?xml version="1.0" encoding="UTF-8"?>\n<{_root(feed)}>\n'.encode()
        case _:
            return b""


def foot_of(table: Table, feed: str) -> bytes:
    """What stands after the records in a file."""
    return f"</{_root(feed)}>\n".encode() if table.format.format == "xml" else b""


def text_of(column: Any) -> pa.Array:
    """A column (NumPy text or numbers, or Arrow) as Arrow text; null becomes empty."""
    if isinstance(column, pa.ChunkedArray):
        column = _one_piece(column)
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary.cast(pa.string()).take(column.indices)
    if isinstance(column, pa.Array):
        return pc.fill_null(column.cast(pa.string()), "")
    values = np.asarray(column)
    if values.dtype.kind in "US":
        return _one_piece(pa.array(values, type=pa.string()))
    return pa.array(values).cast(pa.string())


def _one_piece(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Arrow makes several pieces of a NumPy array of very many texts."""
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def shown_columns(table: Table, columns: Mapping[str, Any]) -> list[Column]:
    """The contract's columns that the file holds: all but the optional ones that nobody made."""
    return [item for item in table.columns if not item.optional_column or item.physical_name in columns]


def line_end(table: Table) -> str:
    """Windows systems (cp1252) end lines with CR LF."""
    return "\r\n" if table.format.encoding == "cp1252" else "\n"


def _csv_lines(table: Table, columns: Mapping[str, Any]) -> pa.Array:
    """One CSV line per record; a text with a delimiter, a quote or a line end stands in quotes."""
    special = f'[{table.format.delimiter}"\r\n]'
    parts = []
    for column in shown_columns(table, columns):
        text = text_of(columns[column.physical_name])
        quoted = pc.match_substring_regex(text, special)
        if pc.any(quoted).as_py():
            doubled = pc.replace_substring(text, '"', '""')
            text = pc.if_else(quoted, pc.binary_join_element_wise('"', doubled, '"', ""), text)
        parts.append(text)
    joined = pc.binary_join_element_wise(*parts, table.format.delimiter)
    return pc.binary_join_element_wise(joined, line_end(table), "")


def _fixed_width_lines(table: Table, columns: Mapping[str, Any]) -> pa.Array:
    """One line per record, each text in its field, cut where it is too long and filled up with blanks.

    Raises `ValueError` if two fields of the contract overlap.
    """
    pieces: list[pa.Array | str] = []
    place = 1
    for column in sorted(shown_columns(table, columns), key=lambda item: item.start or 0):
        if column.start is None or column.width is None:
            raise ValueError(
                f"{table.qualified_name}.{column.name}: a fixed width field needs start and width"
            )
        if column.start < place:
            raise ValueError(f"{table.qualified_name}.{column.name}: field begins inside the one before")
        if column.start > place:
            pieces.append(" " * (column.start - place))
        text = pc.replace_substring_regex(text_of(columns[column.physical_name]), "[\r\n\t]", " ")
        cut = pc.utf8_slice_codeunits(text, 0, column.width)
        pieces.append(pc.utf8_rpad(cut, column.width))
        place = column.start + column.width
    return pc.binary_join_element_wise(*pieces, line_end(table), "")


def _json_lines(table: Table, columns: Mapping[str, Any]) -> pa.Array:
    """One JSON object per record; empty texts are left out, numbers and booleans stand bare."""
    shown = shown_columns(table, columns)
    values = {column.physical_name: _json_value(column, columns[column.physical_name]) for column in shown}
    line = _json_object(_tree(list(values)), values)
    return pc.binary_join_element_wise(pc.fill_null(line, "{}"), "\n", "")


def _json_value(column: Column, values: Any) -> pa.Array:
    text = text_of(values)
    escaped = text
    for letter, escape in _JSON_ESCAPES:
        escaped = pc.replace_substring(escaped, letter, escape)
    written = pc.binary_join_element_wise('"', escaped, '"', "")
    if column.type in _BARE_JSON_TYPES:
        bare = pc.match_substring_regex(text, _BARE_JSON_TYPES[column.type])
        written = pc.if_else(bare, text, written)
    return pc.if_else(pc.equal(text, ""), None, written)


def _json_object(tree: dict[str, Any], values: Mapping[str, pa.Array]) -> pa.Array:
    """Join an object's members; null where it has none."""
    members = []
    for name, below in tree.items():
        value = values[below] if isinstance(below, str) else _json_object(below, values)
        members.append(pc.fill_null(pc.binary_join_element_wise(f'"{name}":', value, ",", ""), ""))
    # No value ends in a comma: the last member's own is the only one to take away.
    joined = pc.utf8_rtrim(pc.binary_join_element_wise(*members, ""), ",")
    whole = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(pc.equal(joined, ""), None, whole)


def _xml_lines(table: Table, columns: Mapping[str, Any]) -> pa.Array:
    """One XML element per record; an empty value leaves its element out, but for the postcode (no fixed
    abode).
    """
    shown = shown_columns(table, columns)
    rows = len(columns[shown[0].physical_name])
    texts = {}
    for column in shown:
        text = text_of(columns[column.physical_name])
        for letter, entity in _XML_ENTITIES:
            text = pc.replace_substring(text, letter, entity)
        texts[column.physical_name] = text
    pieces = _xml_pieces(_tree(list(texts)), texts, "    ")
    opening = pa.array([f"  <{table.row_element}>\n"] * rows, type=pa.string())
    return pc.binary_join_element_wise(opening, *pieces, f"  </{table.row_element}>\n", "")


def _xml_pieces(tree: dict[str, Any], texts: Mapping[str, pa.Array], indent: str) -> list[pa.Array | str]:
    pieces: list[pa.Array | str] = []
    for element, below in tree.items():
        if isinstance(below, str):
            full = pc.binary_join_element_wise(f"{indent}<{element}>", texts[below], f"</{element}>\n", "")
            empty = f"{indent}<{element}/>\n" if element == "Postcode" else ""
            pieces.append(pc.if_else(pc.equal(texts[below], ""), empty, full))
        else:
            pieces.append(f"{indent}<{element}>\n")
            pieces += _xml_pieces(below, texts, indent + "  ")
            pieces.append(f"{indent}</{element}>\n")
    return pieces


def _tree(paths: list[str]) -> dict[str, Any]:
    """Nest paths such as `person/family_name`; a leaf holds its whole path."""
    tree: dict[str, Any] = {}
    for path in paths:
        *parents, leaf = path.split("/")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level[leaf] = path
    return tree


def _root(feed: str) -> str:
    return "".join(word.capitalize() for word in feed.split("_"))


_RENDERERS = {
    "csv": _csv_lines,
    "fixed_width": _fixed_width_lines,
    "jsonl": _json_lines,
    "xml": _xml_lines,
}
