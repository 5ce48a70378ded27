"""Warm start: a finished model whose words keep their vectors in a run on new text."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from w2v_spark import store
from w2v_spark.array_types import Floats
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.errors import FormatError, ParamError
from w2v_spark.params import Params
from w2v_spark.place import FileEntry, Place
from w2v_spark.spark.session import qualify
from w2v_spark.spark.tables import columns_of, read_table
from w2v_spark.workdir.blocks import BASE, BLOCK_SCHEMA, MATRICES, SYN0, block_batch, rows_per_block
from w2v_spark.workdir.vocabulary import Vocabulary

_WORDS = (pa.string(), pa.large_string())


@dataclass(frozen=True)
class EarlierModel:
    """A model to start from: its directory, the files of its vectors, and a digest that tells it from another."""

    uri: str
    files: tuple[FileEntry, ...]
    digest: str

    @classmethod
    def open(
        cls, spark: SparkSession, path: str | os.PathLike[str], params: Params, output: str | os.PathLike[str]
    ) -> EarlierModel:
        """The model at OUT, looked at before anything long begins; an error says why a run cannot start from it."""
        model = store.open_model(qualify(spark, path, "model to start from"))
        size = model.params["vector_size"]
        if size != params.vector_size:
            raise ParamError(
                f"parameter vector_size given invalid value {params.vector_size}: must be {size}, as that of the model "
                f"to start from, {os.fspath(path)}: give vector_size={size} (--vector-size {size})"
            )
        if model.place.same_as(Place.open(qualify(spark, output))):
            raise ParamError(f"the model to start from is the output itself, {os.fspath(path)}: give another output")
        vectors = model.place.child(store.VECTORS)
        files = tuple(model.files(store.VECTORS))
        if not files:
            raise FormatError(f"{vectors.uri} holds no vectors to start from: {store.MANIFEST} names no files")
        for file in files:
            _check(vectors, file)
        digest = hashlib.sha256(json.dumps(model.manifest, sort_keys=True).encode()).hexdigest()[:12]
        return cls(model.place.uri, files, digest)

    @property
    def identity(self) -> str:
        """What tells it from another, for run.json and model.json."""
        return f"{self.uri} ({self.digest})"

    def rows(self, spark: SparkSession) -> DataFrame:
        """word, vector (array<float>): every word once."""
        columns = columns_of(store.VECTORS_SCHEMA, "word", "vector")
        rows = read_table(spark, f"{self.uri}/{store.VECTORS}", self.files, columns)
        return rows.where(F.col("word").isNotNull())

    def blocks(self, spark: SparkSession, vocabulary: Vocabulary, vector_size: int, seed: int, tasks: int) -> DataFrame:
        """The first model as blocks: syn0 has this model's vectors and, for words that it lacks, random ones; syn1 is
        zero. Words meet their vectors in a shuffle, so no task holds more than a block.
        """

        def start(table: pa.Table) -> pa.Table:
            syn0 = _first_vectors(table.sort_by("id"), vector_size, seed)
            return pa.Table.from_batches(start_blocks(table["block"][0].as_py(), syn0))

        columns = columns_of(store.VOCAB_SCHEMA, "id", "word")
        words = read_table(spark, f"{vocabulary.parent}/{store.VOCAB}", vocabulary.files, columns)
        vectors = self.rows(spark).repartition(tasks, "word")
        joined = words.repartition(tasks, "word").join(vectors, "word", "left")
        block = F.floor(F.col("id") / rows_per_block(vector_size)).cast("int").alias("block")
        placed = joined.select(block, "id", "word", "vector").repartition(tasks, "block")
        return placed.groupBy("block").applyInArrow(start, columns_of(BLOCK_SCHEMA))


def start_blocks(block: int, syn0: Floats) -> Iterator[pa.RecordBatch]:
    """A block of each matrix before any round: syn0 as given, syn1 zero."""
    for matrix in MATRICES:
        yield block_batch(matrix, block, BASE, syn0 if matrix == SYN0 else np.zeros_like(syn0))


def _check(vectors: Place, file: FileEntry) -> None:
    """Refuse a file that holds no words and vectors, or that Spark would pass over."""
    with store.opened(vectors, file) as parquet:
        found = parquet.schema_arrow
    word, vector = (found.field(name).type if name in found.names else None for name in ("word", "vector"))
    if word not in _WORDS or getattr(vector, "value_type", None) != pa.float32():
        raise FormatError(
            f"{vectors.uri}/{file.name} holds no vectors to start from: it needs the columns word (string) and vector "
            f"(list of float), and has: {', '.join(f'{field.name} ({field.type})' for field in found) or 'none'}"
        )
    if re.search(r"(^|/)[_.]", file.name):
        raise FormatError(
            f"{vectors.uri} names the file {file.name!r}, which Spark takes for hidden: give it a name that begins "
            "neither with _ nor with ."
        )


def _first_vectors(table: pa.Table, vector_size: int, seed: int) -> Floats:
    """float32[words, vector_size] of the columns id, word and vector: random where vector is null."""
    if pc.count_distinct(table["id"]).as_py() < len(table):
        raise FormatError("the model to start from is damaged: it has a word more than once")
    known = pc.is_valid(table["vector"]).to_numpy()
    vectors = table["vector"].drop_null().combine_chunks()
    if not pc.all(pc.equal(pc.list_value_length(vectors), vector_size)).as_py():
        raise FormatError(f"the model to start from is damaged: it has vectors that are not of size {vector_size}")
    values = initial_vectors(table["word"].to_pylist(), vector_size, seed)
    values[known] = vectors.flatten().to_numpy().reshape(-1, vector_size)
    return values
