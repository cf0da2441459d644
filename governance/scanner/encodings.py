"""The ways of writing that the scanner sees through: each with how a canary is written in it.

A canary is planted for every one of them in every kind of store, so an encoding whose undoing breaks fails the scan.
"""

from __future__ import annotations

import base64
import html
import json
import quopri
import string
import textwrap
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

Encode = Callable[[str], bytes]


def _base64(text: bytes) -> bytes:
    return base64.b64encode(text)


def _percent_everything(value: str) -> bytes:
    return "".join(f"%{byte:02x}" for byte in value.encode()).encode()


def _html_numbers(value: str) -> bytes:
    # As a careful template writes what is no plain letter.
    plain = string.ascii_letters + string.digits
    return "".join(letter if letter in plain else f"&#{ord(letter)};" for letter in value).encode()


def _html_hexadecimal(value: str) -> bytes:
    return "".join(f"&#x{ord(letter):X};" for letter in value).encode()


def _quoted_printable(value: str) -> bytes:
    # A soft line break in the middle, as mail programs put one.
    written = quopri.encodestring(value.encode()).decode().rstrip("\n")
    middle = written.index(" ") + 3
    return f"{written[:middle]}=\r\n{written[middle:]}".encode()


def _wrapped_base64(value: str) -> bytes:
    encoded = _base64(b"." * 50 + value.encode() + b"." * 50).decode()
    return "\n".join(textwrap.wrap(encoded, 76)).encode()


TEXT_ENCODINGS: Mapping[str, Encode] = {
    "plain": lambda value: value.encode(),
    "upper case": lambda value: value.upper().encode(),
    "lower case": lambda value: value.lower().encode(),
    "reversed": lambda value: value[::-1].encode(),
    "without accents": lambda value: value.replace("é", "e").replace("É", "E").encode(),
    "UTF-8 read as cp1252": lambda value: value.encode().decode("cp1252").encode(),
    "words joined by a sign": lambda value: value.replace(" ", "_").encode(),
    "base64, first phase": lambda value: _base64(value.encode()),
    "base64, second phase": lambda value: _base64(b"x" + value.encode() + b"yz"),
    "base64, third phase": lambda value: _base64(b"xy" + value.encode() + b"z"),
    "base64, URL-safe": lambda value: base64.urlsafe_b64encode("ÿ>?".encode() + value.encode()).rstrip(b"="),
    "base64 in lines": _wrapped_base64,
    "base64 of UTF-16": lambda value: _base64(value.encode("utf-16-le")),
    "hexadecimal": lambda value: value.encode().hex().encode(),
    "hexadecimal, odd start": lambda value: b"0" + value.encode().hex().upper().encode(),
    "JSON escapes": lambda value: json.dumps({"name": f'"{value}"'}).encode(),
    "JSON in JSON": lambda value: json.dumps({"event": json.dumps({"name": f'"{value}"'})}).encode(),
    "JSON, every letter": lambda value: "".join(f"\\u{ord(letter):04X}" for letter in value).encode(),
    "Python escapes": lambda value: repr(value.encode() + b'"').encode(),
    "URL percent": lambda value: quote(value).encode(),
    "URL form": lambda value: quote_plus(value).encode(),
    "URL percent, every byte": _percent_everything,
    "HTML entities": lambda value: (
        html.escape(value).replace("é", "&eacute;").replace("É", "&Eacute;").encode()
    ),
    "HTML numbers": _html_numbers,
    "HTML hexadecimal": _html_hexadecimal,
    "quoted-printable": _quoted_printable,
    "SQL quotes": lambda value: value.replace("'", "''").encode(),
}
"""Ways of writing that a text can hold."""

BYTE_ENCODINGS: Mapping[str, Encode] = {
    "Latin-1": lambda value: value.encode("latin-1"),
    "UTF-16 little-endian": lambda value: value.encode("utf-16-le"),
    "UTF-16 big-endian": lambda value: value.encode("utf-16-be"),
    "UTF-32 little-endian": lambda value: value.encode("utf-32-le"),
    "UTF-32 big-endian": lambda value: value.encode("utf-32-be"),
}
"""Ways of writing that only bytes can hold."""

DIGEST_ENCODINGS: Mapping[str, str] = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256"}
"""Digests without a key: whoever has a list of names can tell whose they are."""

ENCODINGS: tuple[str, ...] = (*TEXT_ENCODINGS, *BYTE_ENCODINGS, *DIGEST_ENCODINGS)
