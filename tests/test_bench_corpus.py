"""The texts of bench/corpus.py: as many words as said, as often as said, of the topics that were planted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import corpus
import numpy as np
import pytest
from corpus import DOCUMENT_WORDS, ZipfText, topic_of, topic_score

from w2v_spark.vectors.vectors import Vectors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def documents(made: ZipfText) -> list[list[str]]:
    return [text.split(" ") for chunk in range(made.chunks) for text in made.texts(chunk).to_pylist()]


def test_documents_keep_to_their_topics_as_far_as_they_are_to() -> None:
    found = documents(ZipfText(60_000, 3_000, topics=10, function_words=50, coherence=0.6))
    assert {len(words) for words in found} == {DOCUMENT_WORDS} and len(found) == 3_000
    of_topics = [(topic_of(word), number % 10) for number, words in enumerate(found) for word in words]
    own = np.mean([topic == wanted for topic, wanted in of_topics if topic >= 0])
    # those that are left as they were drawn fall on the document's topic, too, now and then
    assert own == pytest.approx(0.6 + 0.4 / 10, abs=0.01)
    functions = np.mean([topic == -1 for topic, _ in of_topics])
    assert functions == pytest.approx(np.log((50 + 2.7) / 2.7) / np.log((3_000 + 2.7) / 2.7), abs=0.01)


def test_frequencies_follow_the_formula() -> None:
    made = ZipfText(400_000, 1_000, topics=10, function_words=20)
    counts = Counter(word for words in documents(made) for word in words)
    ranks = np.arange(1_000)
    expected = 400_000 * np.log((ranks + 3.7) / (ranks + 2.7)) / np.log(1_002.7 / 2.7)
    for rank in range(20):
        assert counts[f"f{rank}"] == pytest.approx(expected[rank], rel=0.05)
    # ten words that have their number in common share what is expected of their ranks
    for number in (0, 5, 40):
        together = sum(counts[f"t{topic}w{number}"] for topic in range(10))
        assert together == pytest.approx(expected[20 + 10 * number : 30 + 10 * number].sum(), rel=0.05)


def test_every_word_occurs_as_often_as_it_is_to() -> None:
    made = ZipfText(30_000, 5_003, topics=7, function_words=11, at_least=3)
    counts = Counter(word for words in documents(made) for word in words)
    of_topics = {word: count for word, count in counts.items() if topic_of(word) >= 0}
    assert len(of_topics) == 5_003 - 11 and min(of_topics.values()) == 3
    assert sum(counts.values()) == 30_000


def test_the_same_text_for_any_number_of_partitions(spark: SparkSession, tmp_path: Path) -> None:
    from pyspark import cloudpickle

    # bench/ is not on the workers' path
    cloudpickle.register_pickle_by_value(corpus)
    made = ZipfText(60_001, 2_000, at_least=2)
    expected = "".join(f"{' '.join(words)}\n" for words in documents(made))
    assert expected.count("\n") == 3_001
    for tasks in (1, 3):
        folder = tmp_path / str(tasks)
        corpus.text_of(spark, made, tasks).write.text(folder.as_uri())
        assert "".join(part.read_text() for part in sorted(folder.glob("part-*"))) == expected
    cloudpickle.unregister_pickle_by_value(corpus)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"words": 0}, "--words and --topics must be at least 1, --at-least and --function-words at least 0"),
        ({"coherence": 1.5}, "--coherence must be from 0 to 1, got 1.5"),
        (
            {"vocabulary": 150},
            "--vocabulary must be at least 200, the function words and a word for each of 100 topics; got 150",
        ),
        ({"at_least": 2}, "--words must be at least 4,000 for --at-least 2 of 1,000 words; got 3,000"),
    ],
)
def test_what_cannot_be_written_is_refused(given: dict[str, int], told: str) -> None:
    with pytest.raises(ValueError) as error:
        ZipfText(**{"words": 3_000, "vocabulary": 1_000, **given})
    assert str(error.value) == told


def test_score_is_the_share_of_neighbours_of_the_same_topic() -> None:
    draw = np.random.default_rng(1)
    words = ["f0", "f1", *(f"t{topic}w{number}" for number in range(30) for topic in range(5))]
    topics = np.array([topic_of(word) for word in words])
    centres = np.eye(8)[topics]
    whole = range(len(words))
    apart = Vectors(words, (centres + 0.01 * draw.normal(size=centres.shape)).astype(np.float32))
    assert topic_score(apart, whole) == (1.0, 150)
    # chance: 29 of the 151 others are of a word's own topic
    mixed = Vectors(words, draw.normal(size=centres.shape).astype(np.float32))
    assert topic_score(mixed, whole)[0] == pytest.approx(29 / 151, abs=0.04)
    assert topic_score(mixed, range(2)) == (None, 0)
