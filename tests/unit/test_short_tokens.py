"""Tokens in half their length agree where the whole ones do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from linkage.scoring.short_tokens import with_short_tokens


def test_equal_tokens_stay_equal_others_stay_apart_and_missing_ones_stay_missing() -> None:
    tokens = [b"a" * 16, None, b"c" * 16, b"b" * 16, b"b" * 16]
    whole = pa.table({"nino_token": pa.array(tokens, pa.binary(16)), "feed": ["x"] * 5})
    sliced = pa.concat_tables([whole.slice(0, 1), whole.slice(1, 4)])
    for table in (whole, sliced, whole.set_column(0, "nino_token", whole["nino_token"].cast(pa.binary()))):
        short = with_short_tokens(table)["nino_token"]
        assert short.type == pa.uint64()
        assert short.to_pylist() == [
            None if token is None else int(np.frombuffer(token[:8], np.uint64)[0]) for token in tokens
        ]


def test_what_is_no_token_of_sixteen_bytes_is_left_as_it_is() -> None:
    table = pa.table({"nino_token": [b"short"], "upn": [b"a" * 16], "phone_token": ["text"]})
    assert with_short_tokens(table).equals(table)
    assert with_short_tokens(table.slice(0, 0)).num_rows == 0
