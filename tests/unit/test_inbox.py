"""The inbox: what is entered into the ledger, and when."""

from __future__ import annotations

import os
import time
from datetime import date
from typing import Any

import pytest

from bridge.deliveries.inbox import RegistrationReport
from stores.keys import KeyUnavailableError

HEADER = "a\n"


def drop(council: Any, day: str, received: str | None, content: str = HEADER, kind: str = "changes") -> None:
    """Drop both parts of a council tax delivery; registration never looks into them."""
    for part in ("accounts", "recovery"):
        council.drop("council_tax", f"council_tax_{part}_{day}_{kind}.csv", content, received)


def drop_gazetteer(council: Any, day: str, received: str, content: str = HEADER) -> None:
    council.drop("address_gazetteer", f"address_gazetteer_{day}_full.csv", content, received)


def counts(found: RegistrationReport) -> tuple[int, int, int]:
    return found.registered, found.duplicates, found.refused


def test_the_parts_of_a_delivery_are_registered_as_one(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    assert counts(council.register()) == (1, 0, 0)
    delivery = council.deliveries()[0]
    assert [file.table for file in delivery.files] == ["accounts", "recovery_stages"]
    assert (delivery.delivery_date, delivery.received_date) == (date(2024, 5, 6), date(2024, 5, 9))
    assert (delivery.kind, delivery.state) == ("changes", "registered")


def test_a_delivery_id_names_date_kind_and_content_and_needs_the_key(
    council: Any, council_at: Any, tmp_path: Any
) -> None:
    drop(council, "20240506", "2024-05-09")
    council.register()
    other = council_at(tmp_path / "other")
    drop(other, "20240506", "2024-05-09")
    other.register()
    first, second = council.deliveries()[0].delivery_id, other.deliveries()[0].delivery_id
    assert first.startswith("2024-05-06-changes-")
    assert len(first) == len("2024-05-06-changes-") + 8
    assert first != second


def test_a_second_look_finds_nothing_new(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    council.register()
    found = council.register()
    assert (found.files, found.new_files) == (2, 0)
    assert counts(found) == (0, 0, 0)


def test_a_touched_file_with_the_same_content_is_no_new_delivery(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    council.register()
    for path in council.zone.home.inbox.rglob("*.csv"):
        os.utime(path, (time.time() + 60, time.time() + 60))
    found = council.register()
    assert (found.new_files, counts(found)) == (2, (0, 0, 0))


def test_a_delivery_that_comes_twice_is_recorded_once_as_a_duplicate(council: Any) -> None:
    for landing in ("2024-05-09", "2024-05-12"):
        drop(council, "20240506", landing)
    assert counts(council.register()) == (1, 1, 0)
    assert counts(council.register()) == (0, 0, 0)
    original, repeated = council.deliveries()
    assert repeated.delivery_id == f"{original.delivery_id}-again-2024-05-12"
    assert original.delivery_id in str(repeated.message)


def test_two_weeks_with_equal_files_are_two_deliveries(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    drop(council, "20240513", "2024-05-16")
    assert counts(council.register()) == (2, 0, 0)


def test_other_content_for_the_same_date_is_a_correction(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    drop(council, "20240506", "2024-05-12", content="b\n")
    found = council.register()
    assert counts(found) == (2, 0, 0)
    first = council.deliveries()[0].delivery_id
    assert f"a correction of {first}: same delivery date, other content" in found.messages[0]


def test_a_correction_of_one_part_is_joined_to_the_other_part_as_it_was(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    council.drop("council_tax", "council_tax_accounts_20240506_changes.csv", "b\n", "2024-05-12")
    assert counts(council.register()) == (2, 0, 0)
    corrected = council.deliveries()[1]
    assert [file.path.split("/")[1] for file in corrected.files] == [
        "received=2024-05-12",
        "received=2024-05-09",
    ]
    assert corrected.received_date == date(2024, 5, 12)


def test_a_part_that_comes_late_completes_the_delivery_whatever_night_looks_first(
    council: Any, council_at: Any, tmp_path: Any
) -> None:
    patient = council_at(tmp_path / "patient")
    for each in (council, patient):
        each.drop("council_tax", "council_tax_accounts_20240506_changes.csv", HEADER, "2024-05-09")
        if each is council:
            each.register()
        each.drop("council_tax", "council_tax_recovery_20240506_changes.csv", HEADER, "2024-05-11")
        each.register()
    outcome = [(each.state, each.received_date, len(each.files)) for each in council.deliveries()]
    assert outcome == [("refused", date(2024, 5, 9), 1), ("registered", date(2024, 5, 11), 2)]
    assert outcome == [(each.state, each.received_date, len(each.files)) for each in patient.deliveries()]


def test_an_unknown_file_name_is_reported_with_the_name_expected(council: Any) -> None:
    council.drop("address_gazetteer", "gazetteer final v2.csv", HEADER, "2024-05-09")
    council.drop("address_gazetteer", "address_gazetteer_20240231_full.csv", HEADER, "2024-05-09")
    messages = council.register().messages
    assert len(messages) == 2
    assert "a address_gazetteer file is named address_gazetteer_YYYYMMDD_full|changes.csv" in messages[0]
    assert "Rename the file" in messages[0]
    assert council.deliveries() == []


def test_an_unknown_feed_folder_is_reported(council: Any) -> None:
    (council.zone.home.inbox / "parking_fines").mkdir(parents=True)
    assert "Write contracts/feeds/parking_fines.odcs.yaml" in council.register().messages[0]


def test_a_landing_folder_with_a_wrong_name_is_reported(council: Any) -> None:
    council.drop("address_gazetteer", "address_gazetteer_20240501_full.csv", HEADER, "2024-13-01")
    message = council.register().messages[0]
    assert "a landing folder is named received=YYYY-MM-DD. Rename the folder" in message


def test_files_on_their_way_and_hidden_files_are_left_alone(council: Any) -> None:
    for name in (".address_gazetteer_20240501_full.csv", "address_gazetteer_20240501_full.csv.part"):
        council.drop("address_gazetteer", name, HEADER, "2024-05-02")
    found = council.register()
    assert (found.files, found.messages) == (0, ())


def test_a_landing_after_the_night_has_not_come_yet(council: Any) -> None:
    drop_gazetteer(council, "20240501", "2024-05-02")
    drop_gazetteer(council, "20240601", "2024-06-02")
    found = council.register(date(2024, 5, 31))
    assert (found.registered, found.not_yet_received) == (1, 1)
    assert council.register(date(2024, 6, 2)).registered == 1


def test_a_file_without_a_landing_folder_is_received_on_the_night_that_first_sees_it(council: Any) -> None:
    council.drop("address_gazetteer", "address_gazetteer_20240501_full.csv", HEADER)
    council.register(date(2024, 5, 3))
    council.register(date(2024, 5, 4))
    assert [each.received_date for each in council.deliveries()] == [date(2024, 5, 3)]


def test_without_the_storage_key_nothing_is_written(council: Any) -> None:
    drop(council, "20240506", "2024-05-09")
    (council.zone.home.council_keys / "storage.key").unlink()
    with pytest.raises(KeyUnavailableError):
        council.register()
    assert not council.zone.home.deliveries_db.exists()


def test_three_hundred_known_files_are_looked_over_at_once(council: Any) -> None:
    for day in range(1, 29):
        for month in range(1, 12):
            drop_gazetteer(council, f"2024{month:02}{day:02}", f"2024-{month:02}-{day:02}")
    council.register()
    start = time.process_time()
    found = council.register()
    assert (found.files, found.new_files) == (308, 0)
    # Half a second is what a sensor may cost each minute; of it, opening the encrypted ledger takes most.
    assert time.process_time() - start < 0.5
