"""What a check found: counts and places, never a value."""

from __future__ import annotations

from dataclasses import dataclass

# Places named in a verdict; all broken rows are in quarantine anyway.
MAXIMUM_PLACES = 20


@dataclass(frozen=True)
class RuleVerdict:
    """Whether one rule held. `broken` counts rows (or deliveries); `where` names the first twenty of them."""

    name: str
    says: str
    checked: int
    broken: int
    where: tuple[str, ...]
    blocking: bool

    @property
    def passed(self) -> bool:
        return self.broken == 0


@dataclass(frozen=True)
class TableVerdict:
    """Every rule of one table, over all deliveries that were checked together."""

    table: str
    row_rules: tuple[RuleVerdict, ...]
    delivery_rules: tuple[RuleVerdict, ...]

    @property
    def passed(self) -> bool:
        return all(rule.passed for rule in (*self.row_rules, *self.delivery_rules))


def joined(parts: list[TableVerdict]) -> TableVerdict:
    """Add up the verdicts on one table of several batches of deliveries."""
    return TableVerdict(
        table=parts[0].table,
        row_rules=_added([part.row_rules for part in parts]),
        delivery_rules=_added([part.delivery_rules for part in parts]),
    )


def _added(parts: list[tuple[RuleVerdict, ...]]) -> tuple[RuleVerdict, ...]:
    return tuple(
        RuleVerdict(
            name=verdicts[0].name,
            says=verdicts[0].says,
            checked=sum(verdict.checked for verdict in verdicts),
            broken=sum(verdict.broken for verdict in verdicts),
            where=tuple(place for verdict in verdicts for place in verdict.where)[:MAXIMUM_PLACES],
            blocking=verdicts[0].blocking,
        )
        for verdicts in zip(*parts, strict=True)
    )
