"""Every promise of docs/promises.md has tests, and every test that the page names is there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "promises.md").read_text(encoding="utf-8")
KEPT_NOW = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16}


def rows() -> dict[int, str]:
    """The page's table, by number of promise."""
    return {int(found[1]): found[0] for found in re.finditer(r"^\| \**(\d+)\. .*$", PAGE, flags=re.MULTILINE)}


def named_in(text: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", text)


def test_all_sixteen_promises_are_on_the_page() -> None:
    assert sorted(rows()) == list(range(1, 17))


def test_every_promise_that_is_kept_now_names_a_test() -> None:
    assert {number for number, row in rows().items() if named_in(row)} >= KEPT_NOW


def test_every_test_that_is_named_exists() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in named_in(PAGE)
        if not re.search(rf"^def {name}\(", (PROJECT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert missing == []
