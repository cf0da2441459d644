"""Bad input: each message names file, row, rule and remedy and no value, and the good rest goes on.

The files are small enough to be read here. Everybody is called Zebraworth, so that a name in a message shows.
All bad deliveries lie in the inbox together and are loaded in one go, as they would be on a bad night.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.deliveries.loading import DeliveryVerdict, LoadReport

ACCOUNTS = (
    "account_ref,lead_liab_pos,party_ref,lead_liab_title,lead_liab_name,date_of_birth,uprn,addr1,addr2,addr3,"
    "postcode,for_addr1,for_postcode,occupation_date,vacation_date,discount_code,band,ctr_ind\n"
)
GOOD_1 = (
    "CANARY001,1,P1,Ms,ZEBRAWORTH Zoë,,100001,1 Canary Row,,Town,ZZ1 1AA,,,01/04/2020,2099-12-31,SPD,A,N\n"
)
GOOD_2 = "CANARY002,1,P2,Mr,ZEBRAWORTH Zed,,100002,2 Canary Row,,Town,ZZ1 1AA,,,2021-05-06,,NONE,B,Y\n"
STAGES = "account_ref,stage_code,stage_date,balance\nCANARY001,SUMMONS,03/06/2024,£1234.50\n"

TENANTS = (
    "lpar_tcy_alt_ref|lpar_per_alt_ref|lpar_per_title|lpar_per_forename|lpar_per_surname|lpar_per_date_of_birth|"
    "lpar_per_ni_no|lpar_phone|ladr_uprn|ladr_address|lael_postcode|lpar_tin_main_tenant_ind|lpar_hop_hrv_rel_code|"
    "lpar_tin_start_date|lpar_tin_end_date|ltcy_tty_code|ltcy_notice_given_date|weekly_rent\n"
)
TENANT = "CANARY7|Q7|Mr|Zoë|ZEBRAWORTH|03-Feb-1980|QQ123456C|01632 960001|100003|3 Canary Row|ZZ1 1AB|Y|SELF|"
ACTIONS = "laca_pay_ref|laca_ara_code|laca_effective_date|laca_balance\nCANARY7|STAT|06-MAY-2024|1,234.50\n"

CASES_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n<Cases>\n'
CASE = (
    "<Case><CaseReference>CANARY{number}</CaseReference><DateOfApplication>2024-05-0{number}</DateOfApplication>"
    "<DutyOwed>RELIEF</DutyOwed><Applicant><Forename>Zoë</Forename><Surname>Zebraworth</Surname></Applicant></Case>\n"
)

SECRETS = ("zebraworth", "canary", "zoë", "qq123456c", "01632", "zz1 1a")


IMPOSSIBLE_DATES = ("31/02/2020", "2020-13-01", "01/02/20", "yesterday", "00/00/0000")
MANY = "".join(GOOD_1.replace("CANARY001", f"CANARY{number}") for number in range(40))

# What each bad delivery of council tax holds as its accounts file; its recovery file is good.
BAD_ACCOUNTS: dict[str, str | bytes] = {
    "good": ACCOUNTS + GOOD_1 + GOOD_2,
    "missing column": ACCOUNTS.replace("occupation_date", "Occupation Date") + GOOD_1,
    "missing column without a likeness": ACCOUNTS.replace("postcode,for", "for")
    + GOOD_1.replace("ZZ1 1AA,", ""),
    "extra column": ACCOUNTS.replace("\n", ",zebraworth\n") + GOOD_1.replace("\n", ",CANARY secret\n"),
    "column twice": ACCOUNTS.replace("\n", ",band\n") + GOOD_1.replace("\n", ",A\n"),
    "no header": GOOD_1 + GOOD_2,
    "utf-8": (ACCOUNTS + GOOD_1).encode("utf-8"),
    "utf-16": (ACCOUNTS + GOOD_1).encode("utf-16"),
    "not cp1252": (ACCOUNTS + GOOD_1).encode("cp1252") + GOOD_2.encode("cp1252").replace(b"Zed", b"Z\x81d"),
    "same key": ACCOUNTS + GOOD_1 + GOOD_2 + GOOD_1.replace("Zoë", "Zara"),
    "ends before it begins": ACCOUNTS + GOOD_1 + GOOD_2.replace("2021-05-06,,", "2021-05-06,2020-01-01,"),
    "too few fields": ACCOUNTS + GOOD_1 + "CANARY003,1,ZEBRAWORTH\n" + GOOD_2,
    "nul": ACCOUNTS + GOOD_1 + GOOD_2.replace("Zed", "Z\0d"),
    "long field": ACCOUNTS + GOOD_1 + GOOD_2.replace("2 Canary Row", "x" * 20_000),
    "formula": ACCOUNTS + GOOD_1 + GOOD_2.replace("2 Canary Row", "=1+1"),
    "open quotation mark": ACCOUNTS + GOOD_1 + GOOD_2.replace("2 Canary", '"2 Canary') + MANY,
    "empty": b"",
    "blank": b"\r\n \r\n",
    "only a header": ACCOUNTS,
    "xlsx": b"PK\x03\x04" + bytes(500),
    "html": b"<!doctype html><html>Session expired</html>",
    "pdf": b"%PDF-1.7 zebraworth",
    "binary": b"\x01\x02\0\x03" * 400,
    "semicolons": (ACCOUNTS + GOOD_1).replace(",", ";"),
    "one line of megabytes": (ACCOUNTS + "CANARY1,1,").encode() + b"x" * (3 << 20),
    "many broken rows": ACCOUNTS + MANY.replace("01/04/2020", "31/02/2020", 15),
    "no good row": ACCOUNTS + GOOD_1.replace("01/04/2020", "31/02/2020"),
    **{text: ACCOUNTS + GOOD_1 + GOOD_2.replace("2021-05-06", text) for text in IMPOSSIBLE_DATES},
    # Enough good rows that the broken ones of the whole night stay below the contract's share.
    "an ordinary week": ACCOUNTS
    + "".join(GOOD_1.replace("CANARY001", f"CANARY{number}") for number in range(400)),
}

# What each bad delivery of homelessness cases holds.
BAD_CASES: dict[str, str] = {
    "good": CASES_HEAD + CASE.format(number=1) + CASE.format(number=2) + "</Cases>",
    "truncated": CASES_HEAD + CASE.format(number=1) + CASE.format(number=2)[:-60],
    "entities": '<?xml version="1.0"?><!DOCTYPE Cases [<!ENTITY a "zebraworth"><!ENTITY b "&a;&a;&a;">]>'
    "<Cases>&b;</Cases>",
    "unknown element": CASES_HEAD
    + CASE.format(number=1).replace("</Case>", "<ShoeSize>CANARY</ShoeSize></Case>")
    + "</Cases>",
    "missing element": CASES_HEAD + CASE.format(number=1).replace("DutyOwed", "Duty") + "</Cases>",
    "csv": ACCOUNTS + GOOD_1,
    "nul": CASES_HEAD
    + CASE.format(number=1)
    + CASE.format(number=2).replace("Zoë", "Z\0e")
    + "</Cases>"
    + " " * 999,
}


@dataclass(frozen=True)
class BadNight:
    """A night on which each delivery has its own fault; they are told apart by their dates."""

    council: Any
    feed: str
    faults: tuple[str, ...]
    report: LoadReport

    def verdict(self, fault: str) -> DeliveryVerdict:
        day = day_of(self.faults.index(fault))
        return next(each for each in self.report.deliveries if each.delivery_date == day)

    def message(self, fault: str) -> str:
        """Return the one message about the delivery with `fault`; fail if there are more, or none."""
        return the_only(self.verdict(fault).problems)

    def checked(self, fault: str, sql: str) -> list[tuple[Any, ...]]:
        """Ask for the delivery's accepted rows; `rows` in the query stands for them."""
        table = {"council_tax": "accounts", "homelessness_cases": "cases"}[self.feed]
        where = f"delivery_id = '{self.verdict(fault).delivery_id}'"
        return list(
            self.council.query(sql.replace("rows", f"(from checked_{self.feed}__{table} where {where})"))
        )


def day_of(position: int) -> date:
    return date(2024, 1, 1) + timedelta(days=position)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, council_at: Callable[[Path], Any]) -> BadNight:
    """All bad deliveries of council tax, loaded together."""
    council = council_at(tmp_path_factory.mktemp("night"))
    for position, content in enumerate(BAD_ACCOUNTS.values()):
        day = day_of(position)
        drop_accounts(council, content, day=f"{day:%Y%m%d}", received=str(day + timedelta(days=3)))
    return BadNight(council, "council_tax", tuple(BAD_ACCOUNTS), council.load("council_tax"))


@pytest.fixture(scope="module")
def xml_night(tmp_path_factory: pytest.TempPathFactory, council_at: Callable[[Path], Any]) -> BadNight:
    """All bad deliveries of homelessness cases, loaded together."""
    council = council_at(tmp_path_factory.mktemp("night"))
    for position, content in enumerate(BAD_CASES.values()):
        day = day_of(position)
        council.drop("homelessness_cases", f"homelessness_cases_{day:%Y%m%d}_full.xml", content, str(day))
    return BadNight(council, "homelessness_cases", tuple(BAD_CASES), council.load("homelessness_cases"))


def drop_accounts(
    council: Any, content: str | bytes, day: str = "20240506", received: str = "2024-05-09"
) -> None:
    """Drop a council tax delivery: the given accounts file and a good recovery file."""
    council.drop("council_tax", f"council_tax_accounts_{day}_changes.csv", content, received)
    council.drop("council_tax", f"council_tax_recovery_{day}_changes.csv", STAGES, received)


def the_only(messages: Any) -> str:
    assert len(messages) == 1, messages
    return str(messages[0])


@pytest.mark.parametrize("feed", ["council_tax", "homelessness_cases"])
def test_nothing_that_is_told_holds_a_value(feed: str, night: BadNight, xml_night: BadNight) -> None:
    bad = night if feed == "council_tax" else xml_night
    told = [
        *bad.report.messages,
        repr(bad.report),
        *(str(each.message) for each in bad.council.deliveries(feed)),
    ]
    refused = bad.council.zone.home.quarantine(feed) / "refused"
    reasons = list(refused.rglob("reasons.json"))
    told += [path.read_text(encoding="utf-8") for path in reasons]
    told += [
        str(row) for row in bad.council.quarantine(feed, "select * exclude (raw_row) from quarantined_rows")
    ]
    assert len(told) > len(reasons) >= 4
    for text in told:
        assert not [secret for secret in SECRETS if secret in text.casefold()]


def test_the_good_rest_goes_on(night: BadNight, xml_night: BadNight) -> None:
    assert night.verdict("good").state == xml_night.verdict("good").state == "checked"
    assert night.verdict("good").rows_accepted == 3
    assert night.verdict("good").problems == xml_night.verdict("good").problems == ()


def test_every_message_about_a_file_names_it(night: BadNight) -> None:
    for fault, position in zip(night.faults, range(len(night.faults)), strict=True):
        for problem in night.verdict(fault).problems:
            assert f"council_tax_accounts_{day_of(position):%Y%m%d}_changes.csv" in str(problem)
            assert problem.rule and problem.remedy


def test_a_missing_column_refuses_the_delivery_and_proposes_the_near_match(night: BadNight) -> None:
    assert "column occupation_date is missing" in night.message("missing column")
    assert "Column number 14 is nearly occupation_date: name it exactly so" in night.message("missing column")
    assert night.verdict("missing column").state == "refused"


def test_a_missing_column_without_a_likeness_is_to_be_added(night: BadNight) -> None:
    message = night.message("missing column without a likeness")
    assert "column postcode is missing" in message
    assert "Add postcode to the export" in message


def test_a_refused_delivery_is_copied_to_quarantine_with_its_reasons(night: BadNight) -> None:
    verdict = night.verdict("missing column without a likeness")
    folder = night.council.zone.home.quarantine("council_tax") / "refused" / verdict.delivery_id
    reasons = json.loads((folder / "reasons.json").read_text(encoding="utf-8"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "council_tax_accounts_20240103_changes.csv",
        "council_tax_recovery_20240103_changes.csv",
        "reasons.json",
    ]
    assert reasons["problems"][0]["column"] == "postcode"
    assert reasons["problems"][0]["rule"] and reasons["problems"][0]["remedy"]


def test_an_extra_column_is_reported_by_its_place_and_dropped(night: BadNight) -> None:
    message = night.message("extra column")
    assert "column number 19 is not in the contract and was dropped" in message
    assert "Leave it out of the export, or describe it in council_tax.odcs.yaml" in message
    columns = {row[0] for row in night.council.query("describe checked_council_tax__accounts")}
    assert "zebraworth" not in columns
    assert night.verdict("extra column").rows_accepted == 2


def test_a_column_that_comes_twice_is_refused(night: BadNight) -> None:
    assert "the header has band twice. Leave one of them out." in night.message("column twice")


def test_a_file_without_its_header_is_refused_without_showing_the_first_record(night: BadNight) -> None:
    assert "the first row names no column of council_tax.accounts: it is no header" in night.message(
        "no header"
    )
    assert "Send the header account_ref,lead_liab_pos," in night.message("no header")


def test_utf8_where_the_contract_says_cp1252_is_refused(night: BadNight) -> None:
    assert "the file is UTF-8, the contract says cp1252" in night.message("utf-8")
    assert "Export it as cp1252, or change `encoding` in council_tax.odcs.yaml" in night.message("utf-8")
    assert night.verdict("utf-8").state == "refused"


def test_utf16_is_refused_by_name(night: BadNight) -> None:
    assert "the file is UTF-16, the contract says cp1252" in night.message("utf-16")


def test_bytes_outside_the_encoding_are_refused_and_their_row_named(night: BadNight) -> None:
    assert ", row 2: the contract says cp1252, but the bytes are not" in night.message("not cp1252")


def test_cp1252_where_the_contract_says_utf8_is_refused_and_names_the_row(council: Any) -> None:
    rows = TENANT.replace("Zoë", "Zed") + "01-Jan-2020|31-DEC-2099|SEC||98.50\n"
    rows += TENANT.replace("Q7", "Q8") + "01-Jan-2020||SEC||98.50\n"
    name = "housing_tenancies_people_20240506_changes.csv"
    council.drop("housing_tenancies", name, (TENANTS + rows).encode("cp1252"), "2024-05-09")
    council.drop("housing_tenancies", "housing_tenancies_arrears_20240506_changes.csv", ACTIONS, "2024-05-09")
    report = council.load("housing_tenancies")
    message = the_only(report.messages)
    assert f"{name}, row 2: the contract says utf-8" in message
    assert "look like cp1252" in message
    assert "Export it as utf-8" in message
    assert report.blocking_failure


def test_of_rows_with_the_same_key_the_first_is_kept(night: BadNight) -> None:
    message = night.message("same key")
    assert ", row 3: no two rows of a delivery have the same account_ref, lead_liab_pos" in message
    assert "the first was kept, the others are in quarantine" in message
    names = night.checked("same key", "select lead_liab_name from rows order by row_number")
    assert names == [("ZEBRAWORTH Zoë",), ("ZEBRAWORTH Zed",)]


@pytest.mark.parametrize("impossible", IMPOSSIBLE_DATES)
def test_an_impossible_date_quarantines_its_row_and_no_other(night: BadNight, impossible: str) -> None:
    message = night.message(impossible)
    assert ", row 2, column occupation_date: a date is a real day written DD/MM/YYYY or YYYY-MM-DD" in message
    assert "Correct the date, or add its format to `dateFormats`" in message
    assert impossible not in message
    verdict = night.verdict(impossible)
    assert (verdict.state, verdict.rows_accepted, verdict.rows_quarantined) == ("checked", 2, 1)


def test_a_quarantined_row_is_kept_as_it_was_sent(night: BadNight) -> None:
    verdict = night.verdict("31/02/2020")
    rows = night.council.quarantine(
        "council_tax",
        "select table_name, row_number, column_name, rule, raw_row from quarantined_rows "
        f"where delivery_id = '{verdict.delivery_id}'",
    )
    table, row_number, column, rule, raw = rows[0]
    assert (len(rows), table, row_number, column) == (1, "accounts", 2, "occupation_date")
    assert rule.startswith("a date is a real day")
    assert json.loads(raw)["occupation_date"] == "31/02/2020"


def test_a_row_that_ends_before_it_begins_breaks_the_contracts_own_rule(night: BadNight) -> None:
    message = night.message("ends before it begins")
    assert (
        "row 2, column vacation_date and occupation_date: an occupation does not end before it begins"
        in message
    )


def test_a_row_with_too_few_fields_is_quarantined_by_its_number(night: BadNight) -> None:
    message = night.message("too few fields")
    assert ", row 2: a row has 18 fields like the header; this one has 3" in message
    assert "Look for a missing or unquoted separator" in message
    assert night.checked("too few fields", "select row_number from rows order by row_number") == [(1,), (3,)]


def test_a_nul_byte_spoils_its_row_and_no_other(night: BadNight) -> None:
    assert ", row 2: no NUL bytes in a field. Take the NUL byte out" in night.message("nul")
    assert night.verdict("nul").rows_accepted == 2


def test_a_field_that_is_far_too_long_spoils_its_row_and_no_other(night: BadNight) -> None:
    assert ", row 2: a field holds at most 10000 characters" in night.message("long field")
    assert night.verdict("long field").rows_accepted == 2


def test_a_spreadsheet_formula_spoils_its_row_and_no_other(night: BadNight) -> None:
    assert ", row 2: no field is a spreadsheet formula" in night.message("formula")
    assert "Take the formula out of the record" in night.message("formula")
    assert night.verdict("formula").rows_accepted == 2


def test_a_quotation_mark_that_is_never_closed_swallows_no_row_in_silence(night: BadNight) -> None:
    verdict = night.verdict("open quotation mark")
    assert len(verdict.problems) == 1
    assert "unquoted separator" in night.message("open quotation mark")
    assert (verdict.rows_quarantined, verdict.rows_accepted) == (1, 2)


@pytest.mark.parametrize("fault", ["empty", "blank"])
def test_an_empty_file_is_refused(night: BadNight, fault: str) -> None:
    assert (
        "the file is empty. Export it again; a delivery without rows still holds its header."
        in night.message(fault)
    )
    assert night.verdict(fault).state == "refused"


def test_a_file_with_only_a_header_breaks_the_contracts_row_count(night: BadNight) -> None:
    message = night.message("only a header")
    assert "a delivery holds at least one row (rowCount at 1 or above)" in message
    assert "send the whole delivery again" in message
    assert night.verdict("only a header").state == "refused"


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("xlsx", "not CSV: it is an Excel workbook or a zip archive"),
        ("html", "not CSV: it begins like HTML or XML"),
        ("pdf", "not CSV: it is a PDF"),
        ("binary", "not CSV: it is full of NUL bytes"),
    ],
)
def test_what_is_no_csv_is_refused_and_says_what_it_is(night: BadNight, fault: str, what: str) -> None:
    assert what in night.message(fault)
    assert "as CSV" in night.message(fault)
    assert night.verdict(fault).state == "refused"


def test_another_delimiter_is_recognised(night: BadNight) -> None:
    assert "fields are separated by a comma; this file seems to use a semicolon" in night.message(
        "semicolons"
    )


def test_a_line_of_megabytes_is_refused_and_its_row_named(night: BadNight) -> None:
    assert ", row 1: a line holds at most 1024 KiB" in night.message("one line of megabytes")


def test_a_file_with_many_broken_rows_is_refused_whole(night: BadNight) -> None:
    verdict = night.verdict("many broken rows")
    assert "at most 5% of the rows of a delivery break a rule" in str(verdict.problems[0])
    assert "rows 1, 2, 3" in str(verdict.problems[1])
    assert (verdict.state, verdict.rows_in, verdict.rows_accepted) == ("refused", 41, 0)
    where = f"where delivery_id = '{verdict.delivery_id}'"
    assert night.council.quarantine("council_tax", f"from quarantined_rows {where}") == []
    assert night.checked("many broken rows", "from rows") == []


def test_a_delivery_without_one_good_row_is_refused_and_does_not_count_as_empty(night: BadNight) -> None:
    verdict = night.verdict("no good row")
    assert "a delivery that has rows has one that keeps every rule" in str(verdict.problems[0])
    assert verdict.state == "refused"


def test_an_outsized_file_is_refused_in_little_memory(council: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_accounts(council, (ACCOUNTS + "CANARY1,1,").encode() + b"x" * (60 << 20))
    monkeypatch.setattr("bridge.files.hostile_files.MAXIMUM_FILE_BYTES", 50 << 20)
    council.register()
    tracemalloc.start()
    report = council.load("council_tax")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "a file holds at most 50 MiB, this one 60" in the_only(report.messages)
    assert peak < 30 << 20


def test_truncated_xml_is_refused_and_names_the_line(xml_night: BadNight) -> None:
    message = xml_night.message("truncated")
    assert (
        "homelessness_cases_20240102_full.xml, row 2: not well-formed XML: it breaks off or goes wrong at"
        in message
    )
    assert "line 4, after 1 whole Case elements. Send the whole file again" in message
    assert xml_night.verdict("truncated").state == "refused"


def test_good_xml_is_read_by_the_paths_of_the_contract(xml_night: BadNight) -> None:
    rows = xml_night.checked(
        "good",
        "select case_reference, date_of_application::varchar, forename, nino, row_number from rows "
        "order by row_number",
    )
    assert rows == [("CANARY1", "2024-05-01", "Zoë", None, 1), ("CANARY2", "2024-05-02", "Zoë", None, 2)]


def test_xml_entities_are_refused_before_they_expand(xml_night: BadNight) -> None:
    assert "XML with a DOCTYPE is not read" in xml_night.message("entities")
    assert "Export it without a DOCTYPE" in xml_night.message("entities")


def test_an_unknown_xml_element_is_dropped_and_reported(xml_night: BadNight) -> None:
    assert "element ShoeSize is not in the contract and was dropped" in xml_night.message("unknown element")
    assert xml_night.verdict("unknown element").rows_accepted == 1


def test_xml_without_a_required_element_is_refused(xml_night: BadNight) -> None:
    message = str(xml_night.verdict("missing element").problems[0])
    assert "column duty_owed is missing: no Case has DutyOwed. Add DutyOwed to the export." in message


@pytest.mark.parametrize("fault", ["csv", "nul"])
def test_what_is_no_xml_is_refused(xml_night: BadNight, fault: str) -> None:
    assert "not well-formed XML" in xml_night.message(fault)


def test_the_same_delivery_twice_is_recorded_once_as_a_duplicate(council: Any) -> None:
    drop_accounts(council, ACCOUNTS + GOOD_1)
    council.register()
    drop_accounts(council, ACCOUNTS + GOOD_1, received="2024-05-12")
    found = council.register()
    message = the_only(found.messages)
    assert "received=2024-05-12/council_tax_accounts_20240506_changes.csv" in message
    assert "the same content as 2024-05-06-changes-" in message
    assert "Nothing to do: it was recorded and changes nothing" in message
    assert (found.registered, found.duplicates) == (0, 1)
    report = council.load("council_tax")
    assert (report.loaded, report.rows_accepted) == (1, 2)


def test_an_older_delivery_after_a_newer_one_is_accepted_as_history(council: Any) -> None:
    drop_accounts(council, ACCOUNTS + GOOD_1, day="20240513", received="2024-05-16")
    council.register()
    drop_accounts(council, ACCOUNTS + GOOD_2, day="20240506", received="2024-05-20")
    found = council.register()
    message = the_only(found.messages)
    assert "council_tax_accounts_20240506_changes.csv" in message
    assert "older than 2024-05-13-changes-" in message
    assert "it was accepted as history; the newer delivery stays current" in message
    assert council.load("council_tax").checked == 2
    assert "older than" in council.deliveries("council_tax")[1].message


def test_an_incomplete_delivery_is_refused_until_its_missing_part_comes(council: Any) -> None:
    council.drop("council_tax", "council_tax_accounts_20240506_full.csv", ACCOUNTS + GOOD_1, "2024-05-09")
    message = the_only(council.register().messages)
    assert message.startswith("council_tax_recovery_20240506_full.csv: missing")
    assert "Ask district to send it; the delivery is taken up when it comes" in message
    council.drop("council_tax", "council_tax_recovery_20240506_full.csv", STAGES, "2024-05-11")
    report = council.load("council_tax")
    assert (report.checked, report.rows_accepted) == (1, 2)
    refused, checked = council.deliveries("council_tax")
    assert (refused.state, checked.state, str(checked.received_date)) == ("refused", "checked", "2024-05-11")


def test_the_partners_formats_are_read(council: Any) -> None:
    rows = TENANT + "01-Jan-2020|31-DEC-2099| SEC ||£1,098.50\n"
    council.drop(
        "housing_tenancies", "housing_tenancies_people_20240506_full.csv", TENANTS + rows, "2024-05-09"
    )
    council.drop("housing_tenancies", "housing_tenancies_arrears_20240506_full.csv", ACTIONS, "2024-05-09")
    report = council.load("housing_tenancies")
    assert report.messages == ()
    assert council.query(
        "select lpar_tin_start_date::varchar, lpar_tin_end_date, ltcy_tty_code, weekly_rent, "
        "lpar_per_forename from checked_housing_tenancies__tenants"
    ) == [("2020-01-01", None, "SEC", 1098.5, "Zoë")]
    assert council.query("select laca_balance from checked_housing_tenancies__arrears_actions") == [(1234.5,)]
