"""What the receiver checks of a package that is whole and truly the sender's: is this what was agreed?

The council's bridge has checked the same before sealing. The data centre does not take its word for it.
"""

from __future__ import annotations

from exchange.link_key_schema import LINK_KEY_SCHEMA
from exchange.sealed import OpenedPackage, SealedPackageError
from governance.agreements import AgreementError, require_agreement
from governance.contracts import FeedContract


def check_accepted(package: OpenedPackage, feed: FeedContract, delivery_id: str) -> None:
    """Check that a package is delivery `delivery_id` of `feed`, and holds what contract and agreement let out.

    Raises `SealedPackageError` for a package under another name or in another feed's folder; under an agreement
    that we do not know, or that was not live on the day on which the council received the delivery, or that does
    not name a column; and for tables or columns that the contract does not have.
    """
    label = package.label
    if label.feed != feed.feed or label.delivery_id != delivery_id:
        raise SealedPackageError("it holds another delivery than its name says")
    _check_agreement(package, feed)
    tables = {table.name: table for table in feed.payload_tables}
    for part in package.parts:
        table = tables.get(part.table)
        if table is None:
            raise SealedPackageError(f"the contract has no table {part.table}")
        agreed = LINK_KEY_SCHEMA if part.kind == "link_keys" else table.payload_schema
        for column in part.rows.schema:
            if column.name not in agreed.names or agreed.field(column.name).type != column.type:
                raise SealedPackageError(
                    f"{part.kind}.{part.table} holds {column.name}, which was not agreed"
                )
        if "record_ref" not in part.rows.column_names:
            raise SealedPackageError(f"{part.kind}.{part.table} holds no record_ref")
        if part.kind == "link_keys" and not table.holds_people:
            raise SealedPackageError(f"{part.table} names no people, yet it holds link keys")


def _check_agreement(package: OpenedPackage, feed: FeedContract) -> None:
    label = package.label
    if label.agreement != feed.agreement:
        raise SealedPackageError(f"it was sent under agreement {label.agreement}, not {feed.agreement}")
    try:
        # Every column of the contract is named, and below no column is let in that the contract does not have.
        require_agreement(feed, label.received_date, feed.path.parent.parent)
    except AgreementError as error:
        raise SealedPackageError(str(error)) from None
