"""Loading: registered deliveries are parsed, typed and checked, many in a pass; good rows wait to be sealed.

A row that breaks a row rule goes to quarantine. A delivery that cannot be read, or breaks a delivery rule, is
refused whole. Quarantine is written first and the ledger last, in one transaction with the accepted rows, so
a load that is killed leaves the deliveries registered and is simply done again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from bridge.deliveries.inbox import content_key, content_mac
from bridge.deliveries.ledger import CHECKED, REFUSED, REGISTERED, Delivery, DeliveryFile, deliveries, writing
from bridge.deliveries.profiles import TableProfile, profiles_of, write_profiles
from bridge.deliveries.quarantine import QUARANTINED_ROWS, drop_refused, keep_refused, quarantine_rows
from bridge.files.hostile_files import RefusedFileError
from bridge.files.parsed_file import ROW_NUMBER, ParsedFile, text_schema
from bridge.files.parsing import parse_tables
from bridge.files.problems import Problem, row_problem, told
from bridge.files.typed_columns import DUCKDB_TYPES, typed_columns
from bridge.zone import CouncilZone
from expectations.rules import DELIVERY_ID, FEW_BROKEN_ROWS, Rule
from expectations.validation import PROFILE_SCHEMA, BrokenRule, check_deliveries, check_rows
from expectations.verdicts import TableVerdict, joined
from governance.contracts import FeedContract, Table

# Deliveries checked in one pass: as many as fit in this many bytes of files, which take about six times that
# in memory.
BATCH_BYTES = 96 << 20


@dataclass(frozen=True)
class DeliveryVerdict:
    """What became of one delivery. `problems` names files, rows, rules and remedies, never a value."""

    delivery_id: str
    delivery_date: date
    kind: str
    state: str
    rows_in: int
    rows_quarantined: int
    problems: tuple[Problem, ...]

    @property
    def rows_accepted(self) -> int:
        return self.rows_in - self.rows_quarantined if self.state == CHECKED else 0


@dataclass(frozen=True)
class LoadReport:
    """What one load did. `tables` has a verdict for every table of the contract, even without a load."""

    feed: str
    loaded: int
    checked: int
    refused: int
    rows_in: int
    rows_accepted: int
    rows_quarantined: int
    rows_refused: int
    blocking_failure: bool
    deliveries: tuple[DeliveryVerdict, ...]
    tables: tuple[TableVerdict, ...]

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(str(problem) for verdict in self.deliveries for problem in verdict.problems)


def load_deliveries(
    zone: CouncilZone, feed: str, delivery_ids: Sequence[str], *, again: bool = False
) -> LoadReport:
    """Load those of `delivery_ids` that are registered; the others have been dealt with and are left alone.

    With `again`, refused deliveries that are named get another try: their contract may have been put right.
    Accepted rows go to `checked_<feed>__<table>` in the deliveries store, typed, with `delivery_id` and
    `row_number`. After a blocking failure none does: the deliveries wait as they did before, so that no later
    run takes up what this one stopped.
    """
    contract = zone.contracts[feed]
    states = (REGISTERED, REFUSED) if again else (REGISTERED,)
    named = set(delivery_ids)
    chosen = [
        delivery
        for delivery in deliveries(zone, feed)
        if delivery.delivery_id in named
        and delivery.state in states
        and len(delivery.files) == len(contract.tables)
    ]
    loads = [_load(zone, contract, batch) for batch in _batches(chosen)] or [BatchLoad(contract)]
    verdicts = [verdict for load in loads for verdict in load.verdicts()]
    tables = tuple(joined([load.tables[table.name] for load in loads]) for table in contract.tables)
    report = _report(contract, verdicts, tables)
    if report.blocking_failure:
        _hold(zone, contract, [verdict.delivery_id for verdict in verdicts])
    return report


def _hold(zone: CouncilZone, contract: FeedContract, delivery_ids: Sequence[str]) -> None:
    """Put accepted deliveries back to where they waited, and take their rows away."""
    held = [list(delivery_ids)]
    with writing(zone) as connection:
        for table in contract.tables:
            connection.execute(
                f'delete from "{checked_table(table)}" where delivery_id in (select unnest(?))', held
            )
        connection.execute(
            "update deliveries set state = 'registered' "
            "where feed = ? and state = 'checked' and delivery_id in (select unnest(?))",
            [contract.feed, *held],
        )


def checked_table(table: Table) -> str:
    """Name of the table in the deliveries store that holds the accepted rows of `table`."""
    return f"checked_{table.qualified_name}"


def _report(
    contract: FeedContract, verdicts: Sequence[DeliveryVerdict], tables: tuple[TableVerdict, ...]
) -> LoadReport:
    checked = [verdict for verdict in verdicts if verdict.state == CHECKED]
    rows = sum(verdict.rows_in for verdict in checked)
    quarantined = sum(verdict.rows_quarantined for verdict in checked)
    too_many = quarantined > max(FEW_BROKEN_ROWS, contract.maximum_quarantined_share * rows)
    return LoadReport(
        feed=contract.feed,
        loaded=len(verdicts),
        checked=len(checked),
        refused=len(verdicts) - len(checked),
        rows_in=sum(verdict.rows_in for verdict in verdicts),
        rows_accepted=rows - quarantined,
        rows_quarantined=quarantined,
        rows_refused=sum(verdict.rows_in for verdict in verdicts if verdict.state == REFUSED),
        blocking_failure=bool(verdicts) and (not checked or too_many),
        deliveries=tuple(verdicts),
        tables=tables,
    )


def _batches(chosen: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    batch: list[Delivery] = []
    for delivery in chosen:
        if batch and sum(other.bytes for other in batch) + delivery.bytes > BATCH_BYTES:
            yield batch
            batch = []
        batch.append(delivery)
    if batch:
        yield batch


@dataclass
class BatchLoad:
    """The state of one batch while it is loaded: what was parsed, what is wrong, what is accepted or set aside."""

    contract: FeedContract
    batch: Sequence[Delivery] = ()
    parsed: dict[tuple[str, str], ParsedFile] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=lambda: defaultdict(list))
    refused: set[str] = field(default_factory=set)
    accepted: dict[str, pa.Table] = field(default_factory=dict)
    quarantined: list[pa.Table] = field(default_factory=list)
    broken_rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    tables: dict[str, TableVerdict] = field(default_factory=dict)
    profiles: list[TableProfile] = field(default_factory=list)

    def __post_init__(self) -> None:
        for table in self.contract.tables:
            empty = pa.schema([(DELIVERY_ID, pa.string()), *text_schema(table)]).empty_table()
            rows = check_rows(self.contract, table, empty)
            profiles = check_deliveries(self.contract, table, PROFILE_SCHEMA.empty_table())
            self.tables[table.name] = TableVerdict(table.name, rows.verdicts, profiles.verdicts)

    def rows_in(self, delivery_id: str) -> int:
        return sum(parsed.row_count for (owner, _), parsed in self.parsed.items() if owner == delivery_id)

    def state(self, delivery_id: str) -> str:
        return REFUSED if delivery_id in self.refused else CHECKED

    def verdicts(self) -> list[DeliveryVerdict]:
        return [
            DeliveryVerdict(
                delivery_id=delivery.delivery_id,
                delivery_date=delivery.delivery_date,
                kind=delivery.kind,
                state=self.state(delivery.delivery_id),
                rows_in=self.rows_in(delivery.delivery_id),
                rows_quarantined=0
                if delivery.delivery_id in self.refused
                else self.broken_rows[delivery.delivery_id],
                problems=tuple(self.problems[delivery.delivery_id]),
            )
            for delivery in self.batch
        ]


def _load(zone: CouncilZone, contract: FeedContract, batch: Sequence[Delivery]) -> BatchLoad:
    load = BatchLoad(contract, batch)
    _parse(zone, load)
    for table in contract.tables:
        check_table(load, table)
    _commit(zone, load)
    return load


def _parse(zone: CouncilZone, load: BatchLoad) -> None:
    """Read every file of the batch; a file that cannot be taken refuses its delivery."""
    key = content_key(zone)
    for delivery in load.batch:
        for path in delivery.paths:
            files = [file for file in delivery.files if file.path == path]
            tables = [load.contract.table(file.table) for file in files]
            try:
                _refuse_if_replaced(zone, key, files[0])
                parsed = parse_tables(zone.home.inbox / path, load.contract, tables)
            except RefusedFileError as refusal:
                load.refused.add(delivery.delivery_id)
                load.problems[delivery.delivery_id].append(replace(refusal.problem, file=path))
                continue
            for table in tables:
                load.parsed[delivery.delivery_id, table.name] = parsed[table.name]
                load.problems[delivery.delivery_id] += [
                    replace(remark, file=path) for remark in parsed[table.name].remarks
                ]


def _refuse_if_replaced(zone: CouncilZone, key: bytes, file: DeliveryFile) -> None:
    path = zone.home.inbox / file.path
    if not path.is_file() or content_mac(path, key) != file.content_mac:
        raise RefusedFileError(
            Problem(
                file.path,
                "the file was taken away or replaced after it was registered",
                "Leave files in the inbox as they were sent. What took its place is registered by itself.",
                table=file.table,
            )
        )


def check_table(load: BatchLoad, table: Table) -> None:
    """Type and check the rows of one table of all readable deliveries, then the deliveries."""
    readable = [delivery for delivery in load.batch if (delivery.delivery_id, table.name) in load.parsed]
    parsed = {delivery.delivery_id: load.parsed[delivery.delivery_id, table.name] for delivery in readable}
    paths = {
        delivery.delivery_id: next(file.path for file in delivery.files if file.table == table.name)
        for delivery in readable
    }
    texts = pa.concat_tables(
        [
            part.rows.add_column(
                0,
                DELIVERY_ID,
                pa.array([delivery_id], pa.string()).take(pa.array([0] * part.rows.num_rows, pa.int64())),
            )
            for delivery_id, part in parsed.items()
        ]
        or [pa.schema([(DELIVERY_ID, pa.string()), *text_schema(table)]).empty_table()]
    ).combine_chunks()
    typed = typed_columns(load.contract, table, texts)
    rows = check_rows(load.contract, table, typed)
    setting_aside = [broken for broken in rows.broken if broken.rule.blocking and broken.positions]
    aside = sorted({position for broken in setting_aside for position in broken.positions})
    broken_rows = _count(typed, aside)
    for delivery_id, part in parsed.items():
        broken_rows[delivery_id] = broken_rows.get(delivery_id, 0) + len(part.unreadable)
    _tell_broken_rows(load, table, typed, rows.broken, paths, parsed)

    profiles = _profiles(load.contract, parsed, broken_rows, _count(typed, _repeated_keys(rows.broken)))
    whole = check_deliveries(load.contract, table, profiles)
    for broken in (*whole.broken, *(broken for broken in rows.broken if broken.delivery_ids)):
        _tell_broken_deliveries(load, table, broken, paths)
    load.tables[table.name] = TableVerdict(table.name, rows.verdicts, whole.verdicts)

    load.profiles += profiles_of(table, typed, parsed, broken_rows, (*rows.broken, *whole.broken))
    for delivery_id, count in broken_rows.items():
        load.broken_rows[delivery_id] += count
    keep = pc.invert(
        pc.is_in(pa.array(range(typed.num_rows), pa.int64()), value_set=pa.array(aside, pa.int64()))
    )
    columns = [DELIVERY_ID, ROW_NUMBER, *(column.name for column in table.columns)]
    load.accepted[table.name] = typed.select(columns).filter(keep)
    load.quarantined.append(_quarantined(table, texts, setting_aside, parsed))


def _count(batch: pa.Table, positions: Sequence[int]) -> dict[str, int]:
    """Count the rows at `positions` by delivery."""
    ids = batch.column(DELIVERY_ID).take(pa.array(list(positions), pa.int64())).combine_chunks()
    return {pair["values"]: pair["counts"] for pair in pc.value_counts(ids).to_pylist()}


def _repeated_keys(broken: Sequence[BrokenRule]) -> tuple[int, ...]:
    return next((found.positions for found in broken if found.rule.keeps_first), ())


def _profiles(
    contract: FeedContract,
    parsed: Mapping[str, ParsedFile],
    broken: Mapping[str, int],
    repeated: Mapping[str, int],
) -> pa.Table:
    """Return one row per delivery: what the delivery rules judge (PROFILE_SCHEMA)."""
    rows = []
    for delivery_id, part in parsed.items():
        bad = broken.get(delivery_id, 0)
        allowed = max(FEW_BROKEN_ROWS, int(contract.maximum_quarantined_share * part.row_count))
        rows.append(
            {
                DELIVERY_ID: delivery_id,
                "row_count": part.row_count,
                "repeated_keys": repeated.get(delivery_id, 0),
                "broken_rows": bad,
                "broken_rows_too_many": max(0, bad - allowed),
                "nothing_left": part.row_count > 0 and bad == part.row_count,
            }
        )
    return pa.Table.from_pylist(rows, schema=PROFILE_SCHEMA)


def _tell_broken_rows(
    load: BatchLoad,
    table: Table,
    typed: pa.Table,
    broken: Sequence[BrokenRule],
    paths: Mapping[str, str],
    parsed: Mapping[str, ParsedFile],
) -> None:
    for delivery_id, part in parsed.items():
        by_rule: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in part.unreadable:
            by_rule[row.rule, row.remedy].append(row.row_number)
        load.problems[delivery_id] += [
            row_problem(paths[delivery_id], table.name, numbers, rule, remedy)
            for (rule, remedy), numbers in by_rule.items()
        ]
    for found in broken:
        places = typed.select([DELIVERY_ID, ROW_NUMBER]).take(pa.array(found.positions, pa.int64()))
        rows: dict[str, list[int]] = defaultdict(list)
        for place in places.to_pylist():
            rows[place[DELIVERY_ID]].append(place[ROW_NUMBER])
        for delivery_id, numbers in rows.items():
            load.problems[delivery_id].append(_row_problem(found.rule, paths[delivery_id], table, numbers))


def _row_problem(rule: Rule, path: str, table: Table, numbers: Sequence[int]) -> Problem:
    remedy = rule.remedy if rule.blocking else f"{rule.remedy} (The rows were taken: this rule only warns.)"
    return row_problem(path, table.name, numbers, rule.says, remedy, rule.column)


def _tell_broken_deliveries(
    load: BatchLoad, table: Table, broken: BrokenRule, paths: Mapping[str, str]
) -> None:
    for delivery_id in broken.delivery_ids:
        load.problems[delivery_id].insert(
            0, Problem(paths[delivery_id], broken.rule.says, broken.rule.remedy, table=table.name)
        )
        if broken.rule.blocking:
            load.refused.add(delivery_id)


def _quarantined(
    table: Table, texts: pa.Table, broken: Sequence[BrokenRule], parsed: Mapping[str, ParsedFile]
) -> pa.Table:
    """Return the broken rows as sent, one row per broken rule (QUARANTINED_ROWS)."""
    rows = [
        {
            "delivery_id": delivery_id,
            "table_name": table.name,
            "row_number": row.row_number,
            "rule": row.rule,
            "column_name": None,
            "remedy": row.remedy,
            "raw_row": json.dumps(row.raw, ensure_ascii=False),
        }
        for delivery_id, part in parsed.items()
        for row in part.unreadable
    ]
    for found in broken:
        for sent in texts.take(pa.array(found.positions, pa.int64())).to_pylist():
            rows.append(
                {
                    "delivery_id": sent.pop(DELIVERY_ID),
                    "table_name": table.name,
                    "row_number": sent.pop(ROW_NUMBER),
                    "rule": found.rule.says,
                    "column_name": found.rule.column,
                    "remedy": found.rule.remedy,
                    "raw_row": json.dumps(sent, ensure_ascii=False),
                }
            )
    return pa.Table.from_pylist(rows, schema=QUARANTINED_ROWS)


def _commit(zone: CouncilZone, load: BatchLoad) -> None:
    """Write quarantine, then ledger and accepted rows in one transaction."""
    ids = [delivery.delivery_id for delivery in load.batch]
    good = [delivery_id for delivery_id in ids if delivery_id not in load.refused]
    kept = pa.array(good, pa.string())
    quarantined = pa.concat_tables(load.quarantined)
    quarantined = quarantined.filter(pc.is_in(quarantined.column("delivery_id"), value_set=kept))
    quarantine_rows(zone, load.contract.feed, ids, quarantined)
    for delivery in load.batch:
        if delivery.delivery_id in load.refused:
            keep_refused(zone, delivery, load.problems[delivery.delivery_id])
        else:
            drop_refused(zone, load.contract.feed, delivery.delivery_id)
    with writing(zone) as connection:
        for table in load.contract.tables:
            rows = load.accepted[table.name]
            _stage(connection, table, ids, rows.filter(pc.is_in(rows.column(DELIVERY_ID), value_set=kept)))
        write_profiles(connection, load.contract.feed, ids, load.profiles)
        connection.executemany(
            "update deliveries set state = ?, rows_in = ?, rows_quarantined = ?, message = ? "
            "where feed = ? and delivery_id = ? and state in ('registered', 'refused')",
            [
                [
                    *(verdict.state, verdict.rows_in, verdict.rows_quarantined),
                    _message(delivery, verdict),
                    *(load.contract.feed, delivery.delivery_id),
                ]
                for delivery, verdict in zip(load.batch, load.verdicts(), strict=True)
            ],
        )


def _message(delivery: Delivery, verdict: DeliveryVerdict) -> str | None:
    """Keep what registration said (a correction, older than another) and add what the load found."""
    remark = delivery.message if delivery.state == REGISTERED else None
    return "\n".join(part for part in (remark, told(verdict.problems)) if part) or None


def _stage(
    connection: duckdb.DuckDBPyConnection, table: Table, delivery_ids: Sequence[str], rows: pa.Table
) -> None:
    """Replace the accepted rows of `delivery_ids`. Columns that a newer contract has are added."""
    name = f'"{checked_table(table)}"'
    connection.execute(f"create table if not exists {name} (delivery_id varchar, row_number bigint)")
    for column in table.columns:
        connection.execute(
            f'alter table {name} add column if not exists "{column.name}" {DUCKDB_TYPES[column.type]}'
        )
    connection.execute(f"delete from {name} where delivery_id in (select unnest(?))", [list(delivery_ids)])
    if rows.num_rows:
        connection.register("accepted", rows)
        connection.execute(f"insert into {name} by name select * from accepted")
        connection.unregister("accepted")
