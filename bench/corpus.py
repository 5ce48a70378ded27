"""Zipf text of any size with planted topics, so that no download is needed:

    ./spark-submit.sh bench/corpus.py --words 32000000 --vocabulary 200000 --output out/corpus
    .venv/bin/python bench/corpus.py --score out/vectors

Document d has 20 words and keeps to the topic t = d mod C. A word is drawn by its rank, u being uniform in [0, 1):

    r = floor(q ((V + q) / q)^u - q), q = 2.7        Zipf-Mandelbrot: P(r) goes with log((r + 1 + q) / (r + q))

The first F ranks are function words of no topic, named fR. Those after them, numbered s = r - F, have the topic s mod C
and are named tTOPICwNUMBER with NUMBER = s div C: a word tells its topic. With a probability of --coherence a drawn
topic word gives way to the word with its number in the document's topic, so that frequencies stay as they are. With
--at-least K each topic word is put K times into documents of its topic, in turn, in place of drawn words: so many words
are then in the text for sure. Words stand in random order. Every thousand documents have a generator of their own,
seeded by (seed, their number), and none needs a table: the text is the same for any number of partitions, and a worker
takes no more memory for a larger vocabulary.

The score of a model is the share of a topic word's nearest words that are of its topic; chance gives 1 / C.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import job
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from w2v_spark.vectors.vectors import Vectors

DOCUMENT_WORDS = 20
SHIFT = 2.7
_CHUNK_DOCUMENTS = 1_000
_TASK_WORDS = 1 << 23

NEIGHBOURS = 10
BANDS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_TOPIC = re.compile(r"t(\d+)w\d+")


@dataclass(frozen=True)
class ZipfText:
    """What a text is made from; `words` is rounded up to whole documents."""

    words: int
    vocabulary: int
    topics: int = 100
    function_words: int = 100
    coherence: float = 0.4
    at_least: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.words, self.topics) < 1 or min(self.at_least, self.function_words) < 0:
            raise ValueError("--words and --topics must be at least 1, --at-least and --function-words at least 0")
        if not 0 <= self.coherence <= 1:
            raise ValueError(f"--coherence must be from 0 to 1, got {self.coherence:g}")
        if self.vocabulary < self.function_words + self.topics:
            raise ValueError(
                f"--vocabulary must be at least {self.function_words + self.topics:,}, the function words and a word "
                f"for each of {self.topics} topics; got {self.vocabulary:,}"
            )
        needed = DOCUMENT_WORDS * self.topics + self.at_least * self.vocabulary
        if self.at_least and self.words < needed:
            raise ValueError(
                f"--words must be at least {needed:,} for --at-least {self.at_least} of {self.vocabulary:,} words; "
                f"got {self.words:,}"
            )

    @property
    def documents(self) -> int:
        return -(-self.words // DOCUMENT_WORDS)

    @property
    def chunks(self) -> int:
        return -(-self.documents // _CHUNK_DOCUMENTS)

    def texts(self, chunk: int) -> pa.Array:
        """The documents of a chunk, one string each."""
        names = self._names(self.ranks(chunk))
        offsets = pa.array(np.arange(0, len(names) + 1, DOCUMENT_WORDS, dtype=np.int32))
        return pc.binary_join(pa.ListArray.from_arrays(offsets, names), " ")

    def ranks(self, chunk: int) -> npt.NDArray[np.int64]:
        """The ranks of a chunk's words, int64[documents, 20]."""
        draw = np.random.default_rng([self.seed, chunk])
        first = chunk * _CHUNK_DOCUMENTS
        documents = np.arange(first, min(first + _CHUNK_DOCUMENTS, self.documents))
        shape = len(documents), DOCUMENT_WORDS
        stretch = np.log((self.vocabulary + SHIFT) / SHIFT)
        drawn = (SHIFT * np.exp(stretch * draw.random(shape)) - SHIFT).astype(np.int64)
        ranks = np.minimum(drawn, self.vocabulary - 1)
        topics = (documents % self.topics)[:, None]
        keeps = (ranks >= self.function_words) & (draw.random(shape) < self.coherence)
        ranks = np.where(keeps, self._rank((ranks - self.function_words) // self.topics, topics), ranks)
        if self.at_least:
            self._place_all(ranks, documents)
        return draw.permuted(ranks, axis=1)

    def _rank(self, numbers: Any, topics: Any) -> Any:
        """The rank of a topic's word, or of its last where it has no such number."""
        return self.function_words + topics + self.topics * np.minimum(numbers, self._topic_words(topics) - 1)

    def _topic_words(self, topics: Any) -> Any:
        """How many words a topic has."""
        return (self.vocabulary - self.function_words - topics + self.topics - 1) // self.topics

    def _place_all(self, ranks: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]) -> None:
        """Put the words of --at-least into the first columns, dealt out evenly to a topic's documents."""
        topics, number = documents % self.topics, documents // self.topics
        words = self._topic_words(topics)
        placed, sharing = self.at_least * words, (self.documents - topics + self.topics - 1) // self.topics
        start, stop = number * placed // sharing, (number + 1) * placed // sharing
        for column in range(int((stop - start).max(initial=0))):
            mine = start + column < stop
            ranks[mine, column] = self._rank((start + column) % words, topics)[mine]

    def _names(self, ranks: npt.NDArray[np.int64]) -> pa.Array:
        """The words of ranks, in a row."""
        flat = ranks.reshape(-1)
        numbers = flat - self.function_words
        by_topic = pc.binary_join_element_wise(
            pa.array([f"t{topic}w" for topic in range(self.topics)]).take(pa.array(numbers % self.topics)),
            pa.array(np.maximum(numbers, 0) // self.topics).cast(pa.string()),
            "",
        )
        functions = pa.array([f"f{rank}" for rank in range(self.function_words)], pa.string())
        return pc.coalesce(functions.take(pa.array(flat, mask=numbers >= 0)), by_topic)


def topic_of(word: str) -> int:
    """The topic that was planted for a word, -1 for none."""
    found = _TOPIC.fullmatch(word)
    return int(found[1]) if found else -1


def topic_score(vectors: Vectors, ranks: range, queries: int = 500, seed: int = 0) -> tuple[float | None, int]:
    """Of the words nearest to `queries` topic words of these ranks, drawn by the seed, the share that is of the same
    topic, None where no word has one; and how many were asked for. Those of `ranks` and all before them can be near.
    """
    words = vectors.index_to_key[: ranks.stop]
    known = [word for word in words[ranks.start :] if topic_of(word) >= 0]
    if not known:
        return None, 0
    asked = [known[number] for number in np.random.default_rng(seed).permutation(len(known))[:queries]]
    found = vectors.most_similar_each(asked, NEIGHBOURS, restrict_vocab=len(words))
    same = [topic_of(near) == topic_of(word) for word, all in zip(asked, found, strict=True) for near, _ in all]
    return float(np.mean(same)), len(asked)


def main() -> int:
    """Write a text, or score a model."""
    args = _arguments()
    if args.score is not None:
        print(scores(args.score, args.queries))
        return 0
    try:
        text = ZipfText(
            args.words,
            args.vocabulary,
            args.topics,
            args.function_words,
            args.coherence,
            args.at_least,
            args.seed,
        )
    except ValueError as e:
        sys.exit(f"error: {e}")
    write(text, args.output, args.format, args.overwrite)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=job.whole, metavar="N", help="words of the text, such as 32000000 or 32e6")
    parser.add_argument("--vocabulary", type=job.whole, metavar="V", help="words to draw from")
    parser.add_argument("--output", metavar="DIR", help="a new folder for the text, on any file system of Spark's")
    parser.add_argument("--format", choices=("text", "parquet"), default="text", help="parquet has the column text")
    parser.add_argument("--overwrite", action="store_true", help="replace what lies in the output")
    parser.add_argument("--seed", type=int, default=ZipfText.seed, help="another seed, another text (default 1)")
    parser.add_argument("--topics", type=int, default=ZipfText.topics, metavar="C", help="topics (default 100)")
    parser.add_argument("--function-words", type=int, default=ZipfText.function_words, metavar="F", help="default 100")
    parser.add_argument(
        "--coherence", type=float, default=ZipfText.coherence, help="how much a document keeps to it (default 0.4)"
    )
    parser.add_argument(
        "--at-least", type=int, default=ZipfText.at_least, metavar="K", help="times each word occurs at least (0)"
    )
    parser.add_argument("--score", metavar="MODEL", help="score a model of such a text instead")
    parser.add_argument("--queries", type=int, default=500, metavar="N", help="words asked for in a band (default 500)")
    args = parser.parse_args()
    if args.score is None and None in (args.words, args.vocabulary, args.output):
        parser.error("give --words, --vocabulary and --output, or --score")
    return args


def write(text: ZipfText, output: str, format: str, overwrite: bool) -> None:
    """Write the text through Spark."""
    from w2v_spark.errors import W2VError
    from w2v_spark.spark.session import described, exists, own_session, qualify

    try:
        with own_session() as spark, described(spark, "write a text by Zipf's law"):
            address = qualify(spark, output)
            if exists(spark, address) and not overwrite:
                sys.exit(f"error: {output} exists: give another --output, or --overwrite")
            tasks = max(spark.sparkContext.defaultParallelism, -(-text.words // _TASK_WORDS))
            text_of(spark, text, tasks).write.mode("overwrite").format(format).save(address)
    except W2VError as e:
        sys.exit(f"error: {e}")
    print(f"wrote {text.documents * DOCUMENT_WORDS:,} words of {text.vocabulary:,} to {output}")


def text_of(spark: SparkSession, text: ZipfText, tasks: int) -> DataFrame:
    """The documents in their order, in a column text of at most so many partitions."""

    def generate(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for chunk in batch.column(0).to_pylist():
                yield pa.RecordBatch.from_arrays([text.texts(chunk)], names=["text"])

    return spark.range(0, text.chunks, 1, min(tasks, text.chunks)).mapInArrow(generate, "text string")


def scores(model: str, queries: int) -> str:
    """The topic score of a model by frequency of the words asked for."""
    from w2v_spark.errors import W2VError
    from w2v_spark.vectors.vectors import Vectors

    try:
        vectors = Vectors.open(model)
    except W2VError as e:
        sys.exit(f"error: {e}")
    rows: list[Sequence[str]] = [("words by frequency", "asked", f"of their {NEIGHBOURS} nearest of one topic")]
    for low, high in zip((0, *BANDS), BANDS, strict=False):
        share, asked = topic_score(vectors, range(low, min(high, len(vectors))), queries)
        if share is not None:
            rows.append((f"{low + 1:,} to {min(high, len(vectors)):,}", f"{asked:,}", f"{100 * share:.1f} %"))
    if len(rows) == 1:
        sys.exit(f"error: {model} holds no word of a topic: was it trained on a text of this command?")
    return job.table(rows)


if __name__ == "__main__":
    sys.exit(main())
