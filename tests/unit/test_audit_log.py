"""The audit log: whatever is done to its file afterwards is noticed."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from governance.audit_log import AuditLog, AuditLogError, Head, Opening

KEY = bytes(range(32))
ENTRY = Opening(
    at="2026-10-06T10:00:00+00:00",
    officer="sample.officer",
    role="housing_officer",
    purpose="prevention_offer",
    use_case="homelessness",
    record_ref="0" * 32,
    verdict="opened",
    reason="-",
)


def log_of(folder: Path, key: bytes = KEY) -> AuditLog:
    return AuditLog(folder / "log" / "openings.jsonl", folder / "anchor" / "openings.json", key)


@pytest.fixture
def written(tmp_path: Path) -> AuditLog:
    log = log_of(tmp_path)
    for number in range(12):
        with log.writing() as writer:
            writer.add(replace(ENTRY, record_ref=f"{number:032x}"))
    return log


def test_what_is_written_is_read_back_in_order(written: AuditLog) -> None:
    entries, head = written.read()
    assert [entry.record_ref for entry in entries] == [f"{number:032x}" for number in range(12)]
    assert head.entries == 12
    assert Head.parse(head.text) == head


def test_each_of_a_thousand_edits_deletions_swaps_and_truncations_is_noticed(written: AuditLog) -> None:
    whole = written.path.read_bytes()
    lines = whole.splitlines(keepends=True)
    chance = random.Random(4)  # noqa: S311 - which edits are tried, nothing secret
    missed = []
    for trial in range(1000):
        written.path.write_bytes(changed := harmed(whole, lines, chance, trial % 5))
        assert changed != whole
        try:
            written.read()
        except AuditLogError:
            continue
        missed.append(trial)
    assert missed == []
    written.path.write_bytes(whole)
    assert written.read()[1].entries == 12


def harmed(whole: bytes, lines: list[bytes], chance: random.Random, how: int) -> bytes:
    """Edit a byte, delete a line, swap two, cut off the end, or write a line twice."""
    first, second = sorted(chance.sample(range(len(lines)), 2))
    if how == 0:
        place = chance.randrange(len(whole))
        return whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :]
    if how == 1:
        return b"".join(lines[:first] + lines[first + 1 :])
    if how == 2:
        swapped = list(lines)
        swapped[first], swapped[second] = swapped[second], swapped[first]
        return b"".join(swapped)
    if how == 3:
        return whole[: chance.randrange(len(whole))]
    return b"".join([*lines[:first], lines[first], *lines[first:]])


def test_a_log_that_was_cut_together_with_its_anchor_is_noticed_by_the_head_that_was_written_down(
    written: AuditLog,
) -> None:
    log, anchor = written.path.read_bytes(), written.anchor.read_bytes()
    with written.writing() as writer:
        head = writer.add(ENTRY)
    assert written.read(known=head)[1] == head
    written.path.write_bytes(log)
    written.anchor.write_bytes(anchor)
    assert written.read()[1].entries == 12
    with pytest.raises(AuditLogError, match="written down"):
        written.read(known=head)


def test_a_missing_or_changed_anchor_is_noticed(written: AuditLog) -> None:
    text = written.anchor.read_text()
    written.anchor.write_text(text.replace('"12:', '"11:'))
    with pytest.raises(AuditLogError, match="anchor"):
        written.read()
    written.anchor.unlink()
    with pytest.raises(AuditLogError, match="anchor is missing"):
        written.read()


def test_a_log_that_is_gone_while_its_anchor_is_there_is_noticed(written: AuditLog) -> None:
    written.path.unlink()
    with pytest.raises(AuditLogError, match="does not go as far"):
        written.read()


def test_a_stop_between_the_entry_and_its_anchor_is_made_good_by_the_next_entry(written: AuditLog) -> None:
    before = written.anchor.read_bytes()
    with written.writing() as writer:
        writer.add(ENTRY)
    written.anchor.write_bytes(before)
    with written.writing() as writer:
        assert writer.head.entries == 13
        writer.add(ENTRY)
    assert written.read()[1].entries == 14


def test_another_key_reads_nothing(written: AuditLog, tmp_path: Path) -> None:
    with pytest.raises(AuditLogError, match="line 1"):
        log_of(tmp_path, b"x" * 32).read()


def test_nothing_is_added_to_a_log_that_is_not_whole(written: AuditLog) -> None:
    lines = written.path.read_bytes().splitlines(keepends=True)
    written.path.write_bytes(b"".join(lines[1:]))
    with pytest.raises(AuditLogError), written.writing():
        pytest.fail("a broken log was opened for writing")


@pytest.mark.parametrize("field", ["officer", "purpose", "record_ref", "reason"])
def test_an_entry_cannot_hold_a_name_or_free_text(field: str) -> None:
    with pytest.raises(ValueError, match="short name") as refused:
        replace(ENTRY, **{field: "Ann Example, 1 High Street"})
    assert "Example" not in str(refused.value)
