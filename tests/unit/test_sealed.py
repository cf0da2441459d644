"""Sealed packages: what goes in comes out, for the right receiver, from the right sender, to the last bit."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchange import chunks, sealed
from exchange.chunks import ChunkError, ChunkReader, ChunkWriter
from exchange.sealed import (
    PREFIX,
    PackageLabel,
    Part,
    SealedPackageError,
    label_of,
    open_sealed,
    public_key_hex,
    seal,
    seal_into,
)
from stores.keys import KeyUnavailableError


@dataclass(frozen=True)
class FixedKeys:
    """Keys whose exchange roots are one byte each, repeated; the first is the current one."""

    byte: int
    older: tuple[int, ...] = ()

    def root(self, name: str, version: int | None = None) -> bytes:
        assert name == "exchange"
        return bytes([self.byte if version is None else version]) * 32

    def current(self, _name: str) -> int:
        return self.byte

    def usable(self, _name: str) -> tuple[int, ...]:
        return (self.byte, *self.older)


class NoKeys(FixedKeys):
    def root(self, name: str, version: int | None = None) -> bytes:
        raise KeyUnavailableError(f"{name}.key: no such key (version {version})")


COUNCIL, ANALYTICS, STRANGER = FixedKeys(1), FixedKeys(2), FixedKeys(3)
COUNCIL_PUBLIC = bytes.fromhex(public_key_hex(COUNCIL))
ANALYTICS_PUBLIC = bytes.fromhex(public_key_hex(ANALYTICS))

LABEL = PackageLabel(
    feed="council_tax",
    delivery_id="2025-01-06-full-0123abcd",
    delivery_date=date(2025, 1, 6),
    received_date=date(2025, 1, 8),
    kind="full",
    agreement="isa_household_support",
    contract_version="1.0.0",
    epoch=1,
    key_ids={"linkage": "01234567", "pseudonym": "89abcdef"},
)
PARTS = (
    Part("payload", "accounts", pa.table({"record_ref": ["a", "b"], "band": ["A", None]})),
    Part("link_keys", "accounts", pa.table({"record_ref": ["b", "a"], "token": [b"\x01", b"\x02"]})),
    Part("payload", "recovery_stages", pa.table({"record_ref": pa.array([], pa.string())})),
)
PACKAGE = seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)

# What version 2 of the format sealed once, between the fixed keys above.
KEPT_PACKAGE = base64.b64decode(
    "RFNUUFNFQUwAAgAAA/97ImFncmVlbWVudCI6ImlzYV9ob3VzZWhvbGRfc3VwcG9ydCIsImNvbnRlbnRfa2V5cyI6eyJsaW5r"
    "X2tleXMiOiJhZmNiYzFhNmRjYjUwZTk4N2I0NzJhZjhmOTkzZThkMjU3OTI0OGMyZmRlZjYyMGQ4MmEyN2E1MjBmMGM5YjUy"
    "MDhlOTQ2MzJlYmViYjEzOTNjM2YyYzEzZWQ3MWU2NjM5ODdmYjdmZDgzZDg5YjYxZWZiOGQ0NWQ2ZjJlZTUxY2Q5OTk4Njgz"
    "M2QwZjYxYjZkZDk2YThlN2MwNWNhODQzIiwicGF5bG9hZCI6ImZiMmU2NzZjY2I5MzdiYmY2ODJjN2IwOTgwZjUxNTQwYjc1"
    "ODUxZjEwODg2ZWJhYTA2MGY0ODZhOGM2YzM2N2E1MTIzNzA3Y2I4NDAwNmNiMDM3MmMzNjc2MjU1YTJmYTZmMjFlZjM5ZTk5"
    "MWY0YWJhMjkyMzgxZmI1ZTVjOGE2Y2UyMDcwNGJmOGNmMDE1YTU5ZjNiYjc5OTA2YjJhYzMifSwiY29udHJhY3RfdmVyc2lv"
    "biI6IjEuMC4wIiwiZGVsaXZlcnlfZGF0ZSI6IjIwMjUtMDEtMDYiLCJkZWxpdmVyeV9pZCI6IjIwMjUtMDEtMDYtZnVsbC0w"
    "MTIzYWJjZCIsImVwb2NoIjoxLCJmZWVkIjoiY291bmNpbF90YXgiLCJrZXlfaWRzIjp7ImxpbmthZ2UiOiIwMTIzNDU2NyIs"
    "InBzZXVkb255bSI6Ijg5YWJjZGVmIn0sImtpbmQiOiJmdWxsIiwicGFydHMiOlt7ImtpbmQiOiJwYXlsb2FkIiwicm93cyI6"
    "MiwidGFibGUiOiJhY2NvdW50cyJ9LHsia2luZCI6Imxpbmtfa2V5cyIsInJvd3MiOjIsInRhYmxlIjoiYWNjb3VudHMifSx7"
    "ImtpbmQiOiJwYXlsb2FkIiwicm93cyI6MCwidGFibGUiOiJyZWNvdmVyeV9zdGFnZXMifV0sInJlY2VpdmVkX2RhdGUiOiIy"
    "MDI1LTAxLTA4IiwicmVjZWl2ZXIiOiI1NjBjMDQ2NiIsInNlbmRlciI6ImJiNjljMDBhYTExM2UyNTQ0YjE0MjQwY2QzN2U4"
    "N2UyM2NlYjQwY2FiNGYyYzE1NzUzMmUwODU0Yjc1NGNhMjZiZTE4OGZhMmY4YjExYzcyZDZjMGJhMzc0ZTU4YTM1MjE1OWI0"
    "NTBiNmU5MzI3ZDQ5ODY0OGJjYmU5MGJmODVlIiwic3VpdGUiOiJESEtFTShYMjU1MTksIEhLREYtU0hBMjU2KSwgSEtERi1T"
    "SEEyNTYsIEFFUy0yNTYtR0NNOyBFZDI1NTE5In2AAAJAGFpP8male+kO4k2PAslYk+Vn6iIgy/R9cwPaiDlSsq3rV47kumqP"
    "DVDWy7RR2raZx6HnkROMjbAqZDXzGF/VEHVpfHzEBP2qyKihBtenCMOXTjQh/AXCPUtsjGNV0H6D+qmJT1PUD+6qp/QzGxGc"
    "yrNgQORk6CGxtCD5t7TMXEQex45t2SR9kCG2N2hN9mJ4s2mrJM1FqwXiiMYr52BYdcoh9t2NWFXfOEUW8saeTD+yjD6eAVS5"
    "jUONvWqB3JUM092b6IZVdw1chjW1HHTnwDbohPaq0fwPev8mlAyN6i84JM3gyVh1ljiy5ZPvXzABGBrvAuu4t/bpGM3fDp54"
    "k+jcPRERpWiTdAVfgq3oBT3OiS4ZIbgkqJ9zX4uwJ59A51FJ9YjXl4vmIX4Pjw53nrb9imNS0soddI4tdoqxYtK/sbd9HUnA"
    "Vo3sTB+hdkEYGI7LQuPhMuoGjpahh1rLQkbhz100/U+8ENt9ARtXvCutYStzGMAAxvLONed2dXSPy1BFgBgFNJEPXKKYbfnf"
    "b3R7WNsRIMHvm4xKWtQ33mycEPmup+Yg0Gpj28VTkUVIVNWodoBSQjphAgkce1oCDJEaRU71afFvjb8kIZLebt8I2oFdvR8x"
    "nENMdTIXlkAIIPMrWiGo+/og3aQB5um35YY+Q0j2zZ2bsCrrMx06BoHzi9ClrvfDjsRka7DxOCrlikP9fbTpQnZ6EZZXpVp/"
    "3LMeg29j6l5PZ9ZGetAZRCFJZkHQyQt4DhE/OM66OckDgAACKGYud+V0DXG39078H0yON+kdUeM+luEfnCylL5tovYTscmKZ"
    "EnKOhof9EkpthU8QumlRg4iT3HvjJBpwtwWRvf9THvQwnPBMHIkP2/ZjJB9PI5JT4f/IG2Ho/HRtIullZZNGKVUqFBXe6hwC"
    "D/qnhYHUjJPcV2Hl0gzXK92NLkjaal5vgDwitO9OsAHUFomJvdbOSHm/SgH41A0VpPNX0DpynsePvQKi5de1LIoWUweBO/cv"
    "iHe36Y+jVdyZNTx/VCvmhbjqCYNej5WZwzljioUVDdN+iTz3Zw6pH8g7VD4P2vEGgjhCN7mFqnE9iQJUGw1tUUcvFCkYpu8g"
    "Akx+tUkM0j62I5YkeZjy4ZWLAG+wh47+mKRmKLvh+XiWNj4AiDZJttdBrkySTcOzrwnp+GzEFwwQwJVOSJehffrh/eXJz0Pc"
    "htW2IQ6j/DbktCjrEyURhCSh+eB/dBH6VMRmhShpPKES+IrbeGnUZfAubhFXqS/aBtTZ/VNZ0gK/vMWkab7qci4IBP7q8kUC"
    "ONBJLtGZ40qnXcckmBQPoWIiVtjh4x3hZruANS9jd6rf95TYURb5c0EHyiWAy8xhAJmWKTQJatgGUaIf0y/J5cr+LHdqdCWM"
    "bywWgqznA6LSX4xcFY426f/XiAb4yfOJVZaC3l7f5FNeG3udNLTabRXpU7m7lz8nVU8svj8mulwYM++RTuaBeTcVnBQ6mzLg"
    "gQrErkFOVeubXQeX74AAAJjs5IKWcgG6hI7xeNRddvXW/dbAUvs0jp3yh63zEmQMoTRNRT1Kd2qovPux9zX4bGxYV1tnRhPx"
    "qVbZhAAZkwZiiKqnAivOuWwUwGpHHNUWKmjRi/pGaKfaWA5JsqmtRX3uz/p5sH8HhlqyT9LCRK+Nx/JuVq/hD/VmYSXI9tSu"
    "4XYHLND1f9UBdtBo/oFScja89okprmijX9xkRUVxLnTXE+tvy/5Kp+vOxcqJ9ObSW5vQU0fujmwiEueuU8oSbPEYIt1lL1Di"
    "JqlNAmCawTsrU0mMl/pqkmf38kiMg3JdkC6nL4frgi/D16HK9bLYQMWrFiiLkWUgCQ=="
)


def opened(package: bytes) -> list[tuple[str, str, list[dict[str, object]]]]:
    parts = open_sealed(package, ANALYTICS, COUNCIL_PUBLIC).parts
    return [(part.kind, part.table, part.rows.to_pylist()) for part in parts]


def test_what_was_sealed_is_what_is_opened() -> None:
    package = open_sealed(PACKAGE, ANALYTICS, COUNCIL_PUBLIC)
    assert package.label == LABEL == label_of(PACKAGE)
    assert opened(PACKAGE) == [(part.kind, part.table, part.rows.to_pylist()) for part in PARTS]
    assert package.part("link_keys", "recovery_stages") is None


def test_a_package_of_this_format_opens_for_ever() -> None:
    assert open_sealed(KEPT_PACKAGE, ANALYTICS, COUNCIL_PUBLIC).label == LABEL
    assert opened(KEPT_PACKAGE) == opened(PACKAGE)


def test_the_key_of_a_part_is_derived_as_it_always_was() -> None:
    key = sealed._part_key(bytes(32), 3, "payload", "accounts", bytes([7]) * 32)
    assert key.hex() == "c315cf6df14100305c57a3fce0bbe169d8cbf90906c526f8be67087e5ad06f80"


def test_public_keys_are_derived_from_the_exchange_root_as_they_always_were() -> None:
    assert (
        hashlib.sha256(COUNCIL_PUBLIC).hexdigest()
        == "eeae78e8aa135cf168124dabd63ef768fd53d5e2c3b8e4ee4eb51deb40094662"
    )


def test_link_keys_and_payload_are_under_different_keys() -> None:
    header = json.loads(PACKAGE[PREFIX.size : PREFIX.size + PREFIX.unpack_from(PACKAGE)[2]])
    assert set(header["content_keys"]) == {"link_keys", "payload"}
    private = sealed.sealing_key(ANALYTICS)
    keys = sealed._content_keys(header, private)
    assert keys["link_keys"] != keys["payload"]


def test_the_header_names_the_keys_that_things_were_made_with_and_no_row() -> None:
    header = json.loads(PACKAGE[PREFIX.size : PREFIX.size + PREFIX.unpack_from(PACKAGE)[2]])
    assert header["key_ids"] == LABEL.key_ids
    assert header["parts"][0] == {"kind": "payload", "table": "accounts", "rows": 2}
    assert "band" not in json.dumps(header)


def test_sealing_twice_gives_other_bytes_but_the_same_content() -> None:
    again = seal(LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)
    assert again != PACKAGE
    assert opened(again) == opened(PACKAGE)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(place=st.integers(0, len(PACKAGE) * 8 - 1))
def test_any_single_flipped_bit_is_refused(place: int) -> None:
    flipped = bytearray(PACKAGE)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(SealedPackageError):
        open_sealed(bytes(flipped), ANALYTICS, COUNCIL_PUBLIC)


@settings(max_examples=200, deadline=None)
@given(length=st.integers(0, len(PACKAGE) - 1))
def test_a_package_cut_off_anywhere_is_refused(length: int) -> None:
    with pytest.raises(SealedPackageError):
        open_sealed(PACKAGE[:length], ANALYTICS, COUNCIL_PUBLIC)


@settings(max_examples=100, deadline=None)
@given(behind=st.binary(min_size=1, max_size=300))
def test_a_package_with_something_behind_it_is_refused(behind: bytes) -> None:
    with pytest.raises(SealedPackageError):
        open_sealed(PACKAGE + behind, ANALYTICS, COUNCIL_PUBLIC)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 64)
    yield


def frames_of(data: bytes, key: bytes = bytes(range(32))) -> list[bytes]:
    frames: list[bytes] = []
    with ChunkWriter(key, lambda frame: frames.append(bytes(frame))) as writer:
        for start in range(0, len(data), 37):
            writer.write(data[start : start + 37])
    return frames


def read_back(frames: list[bytes], key: bytes = bytes(range(32))) -> bytes:
    reader = ChunkReader(key, io.BytesIO(b"".join(frames)))
    found = reader.readall() or b""
    assert reader.at_end()
    return found


def test_a_stream_of_chunks_is_written_as_it_always_was(small_chunks: None) -> None:
    frames = frames_of(bytes(range(200)))
    assert [len(frame) for frame in frames] == [84, 84, 84, 28]
    assert (
        hashlib.sha256(b"".join(frames)).hexdigest()
        == "8ba317db2e59adff6902e3fd122e4d1d05740fd9b76a4c4d57b8b2797f9149be"
    )


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 129, 1000])
def test_a_stream_of_any_length_comes_back_whole(small_chunks: None, size: int) -> None:
    data = bytes(place % 251 for place in range(size))
    assert read_back(frames_of(data)) == data


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda f: [f[1], f[0], *f[2:]], id="swapped"),
        pytest.param(lambda f: [f[0], f[0], *f[1:]], id="repeated"),
        pytest.param(lambda f: [f[0], *f[2:]], id="left out"),
        pytest.param(lambda f: f[:-1], id="cut off between chunks"),
        pytest.param(lambda f: [*f[:-1], f[-1][:-1]], id="cut off in a chunk"),
        pytest.param(lambda f: [bytes([f[0][0] | 0x80]) + f[0][1:], *f[1:]], id="called the last"),
        pytest.param(lambda f: [*f[:-1], bytes([f[-1][0] & 0x7F]) + f[-1][1:]], id="not called the last"),
    ],
)
def test_chunks_that_are_not_as_they_were_written_are_refused(small_chunks: None, spoil: object) -> None:
    frames = spoil(frames_of(bytes(200)))  # type: ignore[operator]
    with pytest.raises(ChunkError):
        read_back(frames)


def test_chunks_of_another_stream_are_refused(small_chunks: None) -> None:
    mine, other = frames_of(bytes(200)), frames_of(bytes(200), key=bytes(32))
    with pytest.raises(ChunkError):
        read_back([mine[0], other[1], *mine[2:]])


def test_a_part_of_one_package_does_not_open_in_another() -> None:
    """Even with the content keys of one package in the header of another: the header is bound in."""
    front, other = (
        PREFIX.pack(b"DSTPSEAL", 2, len(text)) + text for text in (b'{"epoch":1}', b'{"epoch":2}')
    )
    keys = [
        sealed._part_key(bytes(32), 0, "payload", "accounts", hashlib.sha256(text).digest())
        for text in (front, other)
    ]
    with pytest.raises(ChunkError):
        read_back(frames_of(b"rows", keys[0]), keys[1])


def test_another_receiver_cannot_open_it() -> None:
    with pytest.raises(SealedPackageError, match="another receiver"):
        open_sealed(PACKAGE, STRANGER, COUNCIL_PUBLIC)


def test_a_receiver_whose_key_has_turned_opens_what_was_sealed_to_the_older_one() -> None:
    turned = FixedKeys(9, older=(2,))
    assert open_sealed(PACKAGE, turned, COUNCIL_PUBLIC).label == LABEL
    with pytest.raises(SealedPackageError, match="another receiver"):
        open_sealed(PACKAGE, FixedKeys(9), COUNCIL_PUBLIC)


def test_a_stranger_who_knows_our_public_key_cannot_send_us_anything() -> None:
    with pytest.raises(SealedPackageError, match="another sender"):
        open_sealed(seal(LABEL, PARTS, STRANGER, ANALYTICS_PUBLIC), ANALYTICS, COUNCIL_PUBLIC)


def test_a_stranger_who_writes_the_council_as_sender_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "public_key", lambda _keys: COUNCIL_PUBLIC)
    forged = seal(LABEL, PARTS, STRANGER, ANALYTICS_PUBLIC)
    with pytest.raises(SealedPackageError, match="not signed by the sender"):
        open_sealed(forged, ANALYTICS, COUNCIL_PUBLIC)


def test_the_receivers_own_key_does_not_let_anyone_write_in_the_councils_name() -> None:
    """Signed, not agreed on: who steals the receiver's key can read, but not forge."""
    package = bytearray(PACKAGE)
    package[-96:] = hashlib.sha256(package[:-96]).digest() + sealed.signing_key(ANALYTICS).sign(b"anything")
    with pytest.raises(SealedPackageError, match="not signed"):
        open_sealed(bytes(package), ANALYTICS, COUNCIL_PUBLIC)


def test_a_package_that_one_receiver_got_cannot_be_passed_on_as_sealed_to_another() -> None:
    other = sealed._signed(bytes(32), hashlib.sha256(PACKAGE[:-96]).digest())
    mine = sealed._signed(ANALYTICS_PUBLIC[:32], hashlib.sha256(PACKAGE[:-96]).digest())
    assert sealed.signing_key(COUNCIL).sign(mine) == PACKAGE[-64:]
    assert sealed.signing_key(COUNCIL).sign(other) != PACKAGE[-64:]


def test_a_package_of_the_first_format_is_refused_with_what_to_do() -> None:
    package = bytearray(PACKAGE)
    package[9] = 1
    with pytest.raises(SealedPackageError, match="doorstep bridge run --again"):
        open_sealed(bytes(package), ANALYTICS, COUNCIL_PUBLIC)


def test_a_later_format_is_refused_by_its_number() -> None:
    package = bytearray(PACKAGE)
    package[9] = 3
    with pytest.raises(SealedPackageError, match="format version is 3"):
        open_sealed(bytes(package), ANALYTICS, COUNCIL_PUBLIC)


def test_a_file_that_is_no_package_is_refused_as_such() -> None:
    with pytest.raises(SealedPackageError, match="not a sealed package"):
        open_sealed(b"name,address\n" * 20, ANALYTICS, COUNCIL_PUBLIC)


def test_fewer_rows_than_the_header_says_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write = sealed._write_rows
    monkeypatch.setattr(sealed, "_write_rows", lambda rows, *others: write(rows.slice(0, 1), *others))
    with pytest.raises(SealedPackageError, match="lacks rows"):
        open_sealed(seal(LABEL, PARTS[:1], COUNCIL, ANALYTICS_PUBLIC), ANALYTICS, COUNCIL_PUBLIC)


def test_a_part_that_goes_on_behind_its_rows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    write = sealed._write_rows

    def write_more(rows: pa.Table, target: ChunkWriter, level: int) -> None:
        write(rows, target, level)
        target.write(b"more")

    monkeypatch.setattr(sealed, "_write_rows", write_more)
    with pytest.raises(SealedPackageError, match="more than its rows"):
        open_sealed(seal(LABEL, PARTS[:1], COUNCIL, ANALYTICS_PUBLIC), ANALYTICS, COUNCIL_PUBLIC)


def test_a_missing_key_stops_sealing_and_opening() -> None:
    with pytest.raises(KeyUnavailableError):
        seal(LABEL, PARTS, NoKeys(1), ANALYTICS_PUBLIC)
    with pytest.raises(KeyUnavailableError):
        open_sealed(PACKAGE, NoKeys(2), COUNCIL_PUBLIC)


def test_a_disk_that_takes_no_more_stops_sealing() -> None:
    class FullDisk(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        seal_into(FullDisk(), LABEL, PARTS, COUNCIL, ANALYTICS_PUBLIC)


def test_no_cell_of_a_package_can_be_read_from_its_bytes() -> None:
    marked = Part("payload", "accounts", pa.table({"record_ref": ["a"], "band": ["readable-mark"]}))
    package = seal(replace(LABEL, epoch=2), (marked,), COUNCIL, ANALYTICS_PUBLIC)
    assert b"readable-mark" not in package


def test_a_package_is_opened_from_a_file_as_from_memory(tmp_path: Path) -> None:
    path = tmp_path / "package.sealed"
    path.write_bytes(PACKAGE)
    assert open_sealed(path, ANALYTICS, COUNCIL_PUBLIC).label == LABEL
    with path.open("rb") as stream:
        assert open_sealed(stream, ANALYTICS, COUNCIL_PUBLIC).label == LABEL
