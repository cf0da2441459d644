"""The whole attack suite: every attack on what the bridge makes, its positive control beside it.

Default targets are simulated residents under keys made from a seed; nothing is read from or written to a home.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bridge.link_keys.encoding import encode_link_keys, encode_tokens
from bridge.link_keys.filters import COUNTY_RECIPE, FilterRecipe, encode_filters
from bridge.pseudonymise.identities import property_references, record_references
from evaluation.attacks.audiences import join_ids
from evaluation.attacks.cooccurrence import refine_colours
from evaluation.attacks.dictionary import look_up
from evaluation.attacks.differences import find_rectangles
from evaluation.attacks.filters import distinct_filters
from evaluation.attacks.frequency import rank_match, value_counts
from evaluation.attacks.graph import match_graphs
from evaluation.attacks.patterns import mine_patterns
from evaluation.attacks.residents import (
    Names,
    county_names,
    county_residents,
    distinct_names,
    standard_names,
)
from evaluation.attacks.result import (
    CONTROL_LIMIT,
    FIELD_LIMIT,
    FREQUENCY_CONTROL_LIMIT,
    FULL_NAME_LIMIT,
    GRAPH_LIMIT,
    PATTERN_CONTROL_LIMIT,
    AttackResult,
)
from evaluation.passing_keys import PassingKeys
from exchange.link_key_schema import FILTER_COLUMNS, FIRST_EPOCH, TOKEN_COLUMNS
from governance.contracts import read_contracts
from stores.keys import derive_key
from stores.publishing import published_id

ATTACKS = ("frequency", "graph", "patterns", "dictionary", "audiences")
PROMISED_RESIDENTS = 100_000
PROMISED_NAMES = 10_000
"""How many records promise 2 speaks of: for frequencies, and for graph matching."""

PLAIN_FILTER = FilterRecipe(bits=1024, hashes=20, diffusion=0)
"""The usual Bloom filter of a name, not hardened: the positive control."""

LINEAR_FILTER = FilterRecipe(bits=1024, hashes=3, diffusion=10)
"""Diffused by exclusive-or as published: the positive control of the difference attack."""

PARTIAL_OVERLAPS = (0.8, 0.5)
PARTIAL_NAMES = 5_000
"""Names that the attacks at partial overlap take part of: nothing is promised there, and they take their time."""

FEWEST_CROWD = 40_000
"""Among fewer residents too few names are common for equal differences or patterns to show even in weak filters."""

FEWEST_TOKENS = 100
"""Columns with fewer tokens than this are not attacked: their share would say nothing."""

NAME_TOKENS = frozenset({"full_name_token", "middle_full_name_token"})
NAME_FILTER = "whole name filter"
EVERYBODY = "all residents, exactly"


@dataclass(frozen=True)
class Targets:
    """What is attacked: made once, when an attack asks for it."""

    residents: int = PROMISED_RESIDENTS
    names: int = PROMISED_NAMES
    seed: int = 1

    @property
    def council(self) -> PassingKeys:
        return PassingKeys(self.seed, "council")

    @property
    def attacker(self) -> PassingKeys:
        return PassingKeys(self.seed, "attacker")

    @cached_property
    def identities(self) -> pa.Table:
        """A county of residents, one record each."""
        return county_residents(self.residents, self.seed)

    @cached_property
    def link_keys(self) -> pa.Table:
        return encode_link_keys(self.identities, self.council, FIRST_EPOCH)

    @cached_property
    def labels(self) -> pa.Table:
        """The same under the attacker's key: equal values, equal tokens, so a name for every value."""
        return encode_link_keys(self.identities, self.attacker, FIRST_EPOCH)

    @cached_property
    def crowd(self) -> Names:
        """The names of as many residents, common ones often."""
        drawn = county_names(max(self.residents, FEWEST_CROWD), self.seed)
        return drawn.at(np.flatnonzero((drawn.forenames != "") & (drawn.surnames != "")))

    @cached_property
    def distinct(self) -> Names:
        return distinct_names(self.names, self.seed)


def run_attacks(chosen: str, targets: Targets) -> Iterator[AttackResult]:
    """Yield the results of one of `ATTACKS`, or of "all" of them. Raises `ValueError` for another name."""
    attacks: dict[str, Callable[[Targets], Iterator[AttackResult]]] = {
        "frequency": frequency_attacks,
        "graph": graph_attacks,
        "patterns": pattern_attacks,
        "dictionary": dictionary_attacks,
        "audiences": audience_attacks,
    }
    if chosen not in (*attacks, "all"):
        raise ValueError(f"no attack is called {chosen}; there are all, {', '.join(attacks)}")
    for name, attack in attacks.items():
        if chosen in (name, "all"):
            yield from attack(targets)


def name_filters(
    names: Names, keys: PassingKeys, recipe: FilterRecipe = COUNTY_RECIPE
) -> npt.NDArray[np.uint64]:
    """Return the filters of `names` under `keys`, records × words."""
    root = keys.root("linkage")
    return encode_filters(
        pa.array(names.forenames.tolist(), pa.string()),
        pa.array(names.surnames.tolist(), pa.string()),
        lambda field: derive_key(root, "link_key", "name_filter", field),
        recipe,
    )


def frequency_attacks(targets: Targets) -> Iterator[AttackResult]:
    """Rank matching on every token column and on the whole filter, knowing all residents or a random half."""
    generator = np.random.default_rng(targets.seed)
    half = np.sort(generator.permutation(targets.identities.num_rows)[: targets.identities.num_rows // 2])
    everybody = np.arange(targets.identities.num_rows)
    for knowledge, known in ((EVERYBODY, everybody), ("a random half of the residents", half)):
        for column in TOKEN_COLUMNS:
            ours, labels = (_codes(table[column]) for table in (targets.link_keys, targets.labels))
            limit = FULL_NAME_LIMIT if column in NAME_TOKENS else FIELD_LIMIT
            if (ours >= 0).sum() >= FEWEST_TOKENS:
                yield _rank_matched(ours, labels, known, column, limit, knowledge, targets.seed)
        filters = _filter_codes(targets.link_keys)
        names = np.unique(standard_names(targets.identities).full, return_inverse=True)[1]
        yield _rank_matched(filters, names, known, NAME_FILTER, FULL_NAME_LIMIT, knowledge, targets.seed)
    for field in ("forename", "surname"):
        ours, labels = (
            _codes(encode_tokens([targets.identities[field]], field, keys, FIRST_EPOCH))
            for keys in (targets.council, targets.attacker)
        )
        result = _rank_matched(
            ours,
            labels,
            everybody,
            f"a token of the {field} alone",
            FREQUENCY_CONTROL_LIMIT,
            "all residents",
            targets.seed,
        )
        yield replace(result, control=True)
    yield _co_occurrence(targets, everybody, "all residents")


def graph_attacks(targets: Targets) -> Iterator[AttackResult]:
    """Graph matching and the difference attack on filters of distinct names, ours and plain ones."""
    for overlap in (1.0, *PARTIAL_OVERLAPS):
        names = (
            targets.distinct
            if overlap == 1
            else targets.distinct.at(np.arange(min(PARTIAL_NAMES, targets.names)))
        )
        for recipe, target in ((COUNTY_RECIPE, "our name filter"), (PLAIN_FILTER, "plain name filter")):
            control = recipe is PLAIN_FILTER and overlap == 1
            filters, own = (name_filters(names, keys, recipe) for keys in (targets.council, targets.attacker))
            yield match_graphs(
                filters,
                names.full,
                overlap=overlap,
                seed=targets.seed,
                own_filters=own,
                target=target,
                limit=CONTROL_LIMIT if control else None if recipe is PLAIN_FILTER else GRAPH_LIMIT,
                control=control,
            )
    crowd = targets.crowd
    for recipe, target in (
        (COUNTY_RECIPE, "our name filter"),
        (LINEAR_FILTER, "filter diffused by exclusive-or"),
    ):
        linear = recipe is LINEAR_FILTER
        yield find_rectangles(
            name_filters(crowd, targets.council, recipe),
            crowd.forenames,
            crowd.surnames,
            seed=targets.seed,
            target=target,
            limit=FREQUENCY_CONTROL_LIMIT if linear else GRAPH_LIMIT,
            control=linear,
        )


def pattern_attacks(targets: Targets) -> Iterator[AttackResult]:
    """Pattern mining on the filters of all residents: ours, plain ones of the name, plain ones of the surname."""
    names = targets.crowd
    full = names.full.tolist()
    yield mine_patterns(name_filters(names, targets.council), full, full, target="our name filter")
    surnames = Names(np.zeros(len(names), dtype="U1"), names.surnames)
    yield mine_patterns(
        name_filters(surnames, targets.council, PLAIN_FILTER),
        names.surnames.tolist(),
        names.surnames.tolist(),
        target="plain surname filter",
        limit=PATTERN_CONTROL_LIMIT,
        control=True,
    )


def dictionary_attacks(targets: Targets) -> Iterator[AttackResult]:
    """Look every name up in a dictionary encoded with all parameters, without and with the key."""
    names = targets.distinct
    filters = name_filters(names, targets.council)
    for keys, control in ((targets.attacker, False), (targets.council, True)):
        result = look_up(filters, names.full, name_filters(names, keys), names.full, target="our name filter")
        if control:
            result = replace(result, control=True, limit=CONTROL_LIMIT, knowledge="everything, the key too")
        yield result
    for keys, control in ((targets.attacker, False), (targets.council, True)):
        ours, theirs = (
            _values(encode_link_keys(_name_table(names), key, FIRST_EPOCH)["full_name_token"])
            for key in (targets.council, keys)
        )
        yield join_ids(
            ours,
            theirs,
            target="full_name_token in a dictionary",
            limit=CONTROL_LIMIT if control else 0.0,
            control=control,
            knowledge="everything, the key too" if control else "all parameters and all names, not the key",
        )


def audience_attacks(targets: Targets) -> Iterator[AttackResult]:
    """Join what two agreements, two audiences and two epochs hold of the same people."""
    keys = targets.council
    number = targets.names
    contract = next(iter(read_contracts().values()))
    table = contract.tables[0]
    rows = pa.table({column.name: [f"{place:08d}" for place in range(number)] for column in table.key})
    uprns = pa.array([str(100_000_000 + place) for place in range(number)])
    people = [f"{place:032x}" for place in range(number)]
    audience = {
        name: derive_key(keys.root("identifier"), "audience", name) for name in ("analysts", "commissioners")
    }
    held: dict[str, Callable[[str], npt.NDArray]] = {
        "record_ref of two agreements": lambda party: _values(record_references(table, rows, keys, party)),
        "property_ref of two agreements": lambda party: _values(property_references(uprns, keys, party)),
        "person_id of two audiences": lambda party: np.array(
            [published_id(audience[_AUDIENCE_OF[party]], person) for person in people]
        ),
    }
    for target, ids in held.items():
        yield join_ids(ids("isa_one"), ids("isa_two"), target=target)
        yield join_ids(
            ids("isa_one"),
            ids("isa_one"),
            target=f"{target}, but the same one",
            limit=CONTROL_LIMIT,
            control=True,
        )
    yield from _epochs_joined(targets)


_AUDIENCE_OF = {"isa_one": "analysts", "isa_two": "commissioners"}


def _epochs_joined(targets: Targets) -> Iterator[AttackResult]:
    names = targets.distinct
    identities = _name_table(names)
    epochs = [
        encode_link_keys(identities, replace(targets.council, owner=f"council, epoch {epoch}"), epoch)
        for epoch in (FIRST_EPOCH, FIRST_EPOCH + 1)
    ]
    first, second = (_values(table["full_name_token"]) for table in epochs)
    yield join_ids(first, second, target="full_name_token of two epochs")
    yield join_ids(
        first, first, target="full_name_token, but the same epoch", limit=CONTROL_LIMIT, control=True
    )
    one, other = (_words(table) for table in epochs)
    yield look_up(
        one, names.full, other, names.full, target="name filter of two epochs", knowledge="both epochs"
    )


def _co_occurrence(targets: Targets, known: npt.NDArray, knowledge: str) -> AttackResult:
    columns = [
        column for column in TOKEN_COLUMNS if targets.link_keys[column].null_count < len(targets.link_keys)
    ]
    ours = [_codes(targets.link_keys[column]) for column in columns]
    theirs = [_codes(targets.labels[column].take(pa.array(known))) for column in columns]
    return refine_colours(
        ours,
        theirs,
        np.arange(targets.link_keys.num_rows),
        known,
        target="all tokens of a record together",
        limit=None,
        knowledge=f"{knowledge}: name, birth date, home, without an error",
    )


def _rank_matched(
    ours: npt.NDArray,
    labels: npt.NDArray,
    known: npt.NDArray,
    target: str,
    limit: float,
    knowledge: str,
    seed: int,
) -> AttackResult:
    there = ours >= 0
    reference = labels[known]
    values, counts = value_counts(reference[reference >= 0])
    return rank_match(
        ours[there], labels[there], values, counts, target=target, limit=limit, knowledge=knowledge, seed=seed
    )


def _name_table(names: Names) -> pa.Table:
    return pa.table(
        {
            "record_ref": [f"{place:032x}" for place in range(len(names))],
            "forename": names.forenames.tolist(),
            "surname": names.surnames.tolist(),
        }
    )


def _codes(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Distinct values as numbers; -1 for null."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return pc.fill_null(whole.dictionary_encode().indices.cast(pa.int64()), -1).to_numpy()


def _values(column: pa.Array | pa.ChunkedArray) -> npt.NDArray:
    return np.array(column.drop_null().to_pylist(), dtype=object).astype("S")


def _words(link_keys: pa.Table) -> npt.NDArray[np.uint64]:
    return np.stack([link_keys[column].fill_null(0).to_numpy() for column in FILTER_COLUMNS], axis=1)


def _filter_codes(link_keys: pa.Table) -> npt.NDArray[np.int64]:
    return distinct_filters(_words(link_keys))[1]
