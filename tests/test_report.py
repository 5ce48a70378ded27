"""A run's report: what it says, that it needs nothing from elsewhere, and its charts."""

from __future__ import annotations

import html
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from make_model_v1 import MODEL_V1, write_model

from w2v_spark import store
from w2v_spark.errors import FormatError
from w2v_spark.params import Params
from w2v_spark.pictures import neighbours
from w2v_spark.pictures.report import duration, write
from w2v_spark.pictures.svg import line_chart
from w2v_spark.place import Place
from w2v_spark.training.history import TrainedRound, trained_rounds
from w2v_spark.vectors.vectors import Vectors

AWKWARD = ['<b>&"', "new\nline", "東京", "</script>", "{braces}", "مرحبا", "x" * 300]


class Page(HTMLParser):
    """A page's text, tags and attributes; every tag must be closed in its turn."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags, self.attributes, self.texts = list[str](), list[tuple[str, str]](), list[str]()
        self._open = list[str]()
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag != "meta":
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    def check_needs_nothing(self) -> None:
        """No script, no handler, nothing that a browser would fetch."""
        assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(self.tags)
        assert not [n for n, _ in self.attributes if n in ("src", "href", "srcset", "xlink:href") or n.startswith("on")]
        assert not re.search(r"url\(|@import|https?:", " ".join([*self.texts, *(v for _, v in self.attributes)]))
        assert ("name", "viewport") in self.attributes

    def rows(self) -> str:
        """All text, in order, one piece after another."""
        return " | ".join(text for text in self.texts if text)


def metrics_rows(rounds: int, replicas: int = 2, loss: float | None = 3.0) -> list[dict[str, Any]]:
    """Rows as OUT/metrics has them."""
    return [
        {
            "round": number + 1,
            "start": number / rounds * 5,
            "stop": (number + 1) / rounds * 5,
            "step_size": 0.05,
            "shard": shard,
            "words": 1_000_000 + shard,
            "pairs": 100 + shard,
            "loss": None if loss is None else loss / (1 + number) + shard,
            "bytes_sent": 1_500_000,
            "seconds_train": 1.0 + shard,
            "seconds_round": 2.5,
            "analogies": None,
            "word_pairs": None,
        }
        for number in range(rounds)
        for shard in range(replicas)
    ]


def manifest_of(out: Path, words: int = 200, total: int = 117_000) -> dict[str, Any]:
    """The manifest of a model in the tests, completed to that of a run."""
    params = Params(num_replicas=2, threads_per_replica=4, rounds_per_epoch=3, device="cpu").to_dict()
    read = Place.open(out).read_json(store.MANIFEST)
    return {
        **read,
        "params": params | {"vector_size": read["params"]["vector_size"]},
        "vocabulary": {"words": words, "total_count": total},
        "input": {"source": "texts/<a>.gz", "fingerprint": None},
        "processors": ["znver9 <fast>"],
    }


def report(out: Path, rounds: int = 3, loss: float | None = 3.0, **facts: int) -> Page:
    """Writes the report into a model's directory, and reads it."""
    write(Place.open(out), manifest_of(out, **facts), metrics_rows(rounds, loss=loss), Params().to_dict())
    page = Page(out / store.REPORT)
    page.check_needs_nothing()
    return page


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of model-v1."""
    return Path(shutil.copytree(MODEL_V1, tmp_path / "model"))


def test_report_of_a_run(model: Path) -> None:
    text = report(model).rows()
    for part in (
        "Word vectors: model",
        "200 | words in the vocabulary",
        "117,000 | words of text, 5 epochs",
        # 6,000,003 words in 7.5 s; the replicas' losses 1 and 2, weighted by 100 and 101 pairs
        "800,000 | words a second",
        "1.5025 | loss of the last round",
        "3 | 5.00 | 1.5025 | 2,000,001 | 800,000 | 2.50 | 2.00 | 0.050000 | 3.0",
        "num_replicas | auto | 2 | replicas trained side by side",
        "max_vocab | none | none |",
        "lowercase | true | true |",
        "input | texts/<a>.gz",
        "fingerprint of the input | none:",
        "kept are | words seen 5 times or more",
        "processors | znver9 <fast>",
        "(80.0 %)",
        "pyarrow | ",
    ):
        assert part in text, part
    write(Place.open(model), manifest_of(model), metrics_rows(1), {"vocab": "hdfs:/<words>.txt"})
    assert "kept are | the words of hdfs:/<words>.txt" in Page(model / store.REPORT).rows()
    words, counts = Vectors.open(model).index_to_key, Vectors.open(model).counts
    assert counts is not None
    assert f"1 | {words[0]} | {counts[0]:,} | {100 * counts[0] / 117_000:.1f} %" in text


def test_nearest_words_are_those_of_a_query(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 7)
    place, vectors = Place.open(model), Vectors.open(model)
    manifest = manifest_of(model)
    for most in (200, 50, 2, 1):
        monkeypatch.setattr(neighbours, "NUMBERS", most * 16)
        frequent = neighbours.frequent_words(place, manifest)
        assert frequent.words.to_pylist() == vectors.index_to_key[:most]
        asked = neighbours.words_to_ask(frequent)
        assert asked and max(asked) < max(1, most / 2) and asked == sorted(set(asked))
        for i, found in zip(asked, neighbours.nearest_words(place, manifest, frequent, asked), strict=True):
            expected = vectors.most_similar(i, topn=neighbours.SHOWN, restrict_vocab=most)
            assert [word for word, _ in found] == [word for word, _ in expected]
            np.testing.assert_allclose([c for _, c in found], [c for _, c in expected], rtol=1e-5)
    page = report(model)
    assert "the 1 most frequent of 200 words" in page.rows()


def test_damaged_vectors_are_told_in_a_sentence(model: Path) -> None:
    place, manifest = Place.open(model), manifest_of(model)
    first = model / store.VECTORS / manifest["files"][store.VECTORS][0]["name"]
    first.write_bytes(first.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"has \d+ bytes, the manifest says \d+ bytes: the directory is damaged$"):
        neighbours.frequent_words(place, manifest)


def test_words_show_as_text(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(AWKWARD), 6)).astype(np.float32)
    out = write_model(tmp_path / "a <i> & c", AWKWARD, vectors)
    page = report(out, words=len(AWKWARD), total=100)
    ours = "html head meta title style body h1 h2 h3 p section div b span i bdi table tr th td"
    assert set(page.tags) <= {*ours.split(), "svg", "text", "line", "circle", "polyline"}
    for word in (*AWKWARD, "a <i> & c"):
        shown = word.replace("\n", "\\n")
        assert any(shown in text for text in page.texts), shown
    assert "&lt;b&gt;&amp;&quot;" in (out / store.REPORT).read_text(encoding="utf-8")


def test_counts_and_losses_may_be_unknown(tmp_path: Path) -> None:
    vectors = np.eye(4, dtype=np.float32)
    out = write_model(tmp_path / "out", list("abcd"), vectors, pa.nulls(4, pa.int64()))  # type: ignore[arg-type]
    page = report(out, rounds=1, loss=None, words=4, total=4)
    assert "Loss over rounds: nothing was measured." in page.texts
    assert "1 | 5.00 | - |" in page.rows() and "The most frequent words" not in page.rows()


def test_many_rounds_are_thinned_out(model: Path) -> None:
    page = report(model, rounds=640)
    assert "40 of 640 rounds; metrics/ holds all, of each replica." in page.texts
    assert "640 | 5.00 |" in page.rows() and "| 320 | 2.50 |" not in page.rows()
    assert "circle" not in page.tags and page.tags.count("polyline") == 2
    assert (model / store.REPORT).stat().st_size < 80_000


def test_a_report_reads_no_more_of_a_large_model_than_its_limit(tmp_path: Path) -> None:
    size, most = 100, neighbours.NUMBERS // 100
    words = most + 20_000
    vectors = np.random.default_rng(1).normal(size=(words, size)).astype(np.float32)
    out = write_model(tmp_path / "out", [f"word{i}" for i in range(words)], vectors)
    manifest, rows, place = manifest_of(out, words), metrics_rows(100), Place.open(out)
    write(place, manifest, rows[:2], {})  # loads what is loaded once
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    peak = read = 0

    blocks = neighbours._blocks

    def watched(*arguments: Any) -> Any:
        nonlocal peak, read
        for start, block in blocks(*arguments):
            peak, read = max(peak, pool.bytes_allocated() - before), read + len(block)
            yield start, block

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "_blocks", watched)
        write(place, manifest, rows, Params().to_dict())
    # all rows up to the limit once, and of the words asked about those up to the rarest, a quarter of them
    assert most <= read < 1.3 * most
    # a block of 2048 rows, the page of Parquet that it comes from, and the words; the matrix has 48 MB
    assert peak < 12 << 20


def test_rounds_of_metrics() -> None:
    first, second = trained_rounds(reversed(metrics_rows(2)))
    assert first == TrainedRound(
        1, 2.5, 0.05, 2_000_001, pytest.approx((300 + 4 * 101) / 201), 2.5, 2.0, 3_000_000, None, None
    )
    assert (second.number, second.stop, second.words_per_second) == (2, 5.0, 800_000.4)
    assert trained_rounds(metrics_rows(1, loss=None))[0].loss is None


@pytest.mark.parametrize(
    ("x", "y", "from_zero", "ticks"),
    [
        ([1, 2, 3], [2.0, 3.0, 4.1], False, ["2.0", "2.5", "3.0", "3.5", "4.0", "4.5", "1", "2", "3"]),
        ([1, 2], [0.0002, 0.00031], True, ["0.0000", "0.0001", "0.0002", "0.0003", "0.0004", "1", "2"]),
        ([1], [2.5], False, ["2.5", "3.0", "1"]),
        ([1, 2], [0.0, 0.0], True, ["0.0", "0.2", "1", "2"]),
        ([1, 1000], [5e6, 5.4e6], False, ["5,000,000", "5,100,000", "5,200,000", "5,300,000", "5,400,000", "200"]),
    ],
)
def test_chart(x: list[int], y: list[float], from_zero: bool, ticks: list[str]) -> None:
    drawn = line_chart("a < b", x, y, x_label="round", y_label="loss & more", from_zero=from_zero)
    texts = [html.unescape(t) for t in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]
    assert texts[: len(ticks)] == ticks and {"round", "loss & more"} <= set(texts)
    places = [(float(a), float(b)) for a, b in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)]
    assert len(places) == len(x) and all(0 < a <= 440 and 0 < b < 260 for a, b in places)
    assert [b for _, b in places] == sorted((b for _, b in places), reverse=True)
    assert 'aria-label="a &lt; b"' in drawn and drawn.count("<polyline") == (len(x) > 1)


def test_chart_with_a_gap() -> None:
    drawn = line_chart("t", [1, 2, 3, 4, 5], [1.0, 2.0, None, 2.0, float("nan")], x_label="x", y_label="y")
    assert (drawn.count("<polyline"), drawn.count("<circle"), "nan" in drawn) == (1, 3, False)


def test_duration() -> None:
    assert [duration(s) for s in (0.04, 99, 100, 3599.7, 7300)] == [
        "0.0 s",
        "99.0 s",
        "1 min 40 s",
        "60 min 0 s",
        "2 h 2 min",
    ]
