"""The vocabulary of a run, as tasks are told of it and read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.place import FileEntry, Place

FROZEN_SCHEMA = store.VOCAB_SCHEMA.append(pa.field("frozen", pa.bool_()))


@dataclass(frozen=True)
class Vocabulary:
    """What is known of the vocabulary without reading it: how many words it has, how often they occur in all, the
    directory that holds vocab/, the files there, and how many words are frozen.
    """

    words: int
    total_count: int
    parent: str
    files: tuple[FileEntry, ...]
    frozen: int = 0

    @classmethod
    def from_dict(cls, parent: Place, facts: Mapping[str, Any]) -> Vocabulary:
        files = tuple(store.files_from_json(facts["files"]))
        return cls(facts["words"], facts["total_count"], parent.uri, files, facts["frozen"])

    def to_dict(self) -> dict[str, Any]:
        """All but the directory."""
        files = store.files_as_json(self.files)
        return {"words": self.words, "total_count": self.total_count, "files": files, "frozen": self.frozen}

    def read(self, first: int = 0, stop: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The words with the ids first..stop, or all: id, word, count and, where words are frozen, frozen (bool), by
        id; or some of these columns. Only what holds them is read.
        """
        stop, schema = self.words if stop is None else stop, self._schema
        names = columns or schema.names
        parts = [schema.empty_table(), *self._parts(first, stop, ["id", *names])]
        return pa.concat_tables([part.select(names) for part in parts])

    def word_arrays(self) -> Iterator[pa.Array]:
        """All words by id, in arrays."""
        for part in self._parts(0, self.words, ["id", "word"]):
            yield part["word"].combine_chunks()

    @property
    def _schema(self) -> pa.Schema:
        return FROZEN_SCHEMA if self.frozen else store.VOCAB_SCHEMA

    def _parts(self, first: int, stop: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The rows first..stop, row group by row group: the files hold the words by id."""
        place, at = Place.open(self.parent).child(store.VOCAB), 0
        schema = pa.schema([self._schema.field(name) for name in dict.fromkeys(columns)])
        for entry in self.files:
            with store.opened(place, entry) as file:
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    if at < stop and first < at + rows:
                        part = file.read_row_group(group, columns=schema.names).select(schema.names).cast(schema)
                        if not np.array_equal(part["id"].to_numpy(), np.arange(at, at + rows)):
                            raise FormatError(
                                f"{place.uri}/{entry.name} is damaged: its words are not in the order of ids"
                            )
                        yield part.slice(max(0, first - at), min(stop, at + rows) - max(first, at))
                    at += rows
