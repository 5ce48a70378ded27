"""A run that starts from an earlier model: whose words it knows, where their vectors start, what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from interrupted_runs import Interrupted, interrupt

import w2v_spark
from w2v_spark import cli, store
from w2v_spark.corpus.vocab import initial_vectors
from w2v_spark.errors import FormatError, InputError, OutputError, ParamError
from w2v_spark.spark import fit, loop, publish, warm_start
from w2v_spark.spark.read import Source
from w2v_spark.vectors.load import read_model
from w2v_spark.workdir.blocks import MATRICES, SYN0

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SMALL: dict[str, Any] = {
    "vector_size": 12,
    "min_count": 3,
    "sample": 0.0,
    "max_iter": 2,
    "threads_per_replica": 1,
    "num_replicas": 1,
    "rounds_per_epoch": 2,
}
# in the later text all words are new but town0 to town9, of which town9 is rarer than min_count
RARE = "town9"


@pytest.fixture(scope="module")
def earlier(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of sea0 to sea9, hill0 to hill9 and town0 to town9."""
    place = tmp_path_factory.mktemp("earlier")
    draw, names = np.random.default_rng(4), ("sea", "hill", "town")
    lines = (" ".join(f"{names[i % 3]}{j}" for j in draw.integers(0, 10, 9)) for i in range(1500))
    (place / "text.txt").write_text("\n".join(lines))
    w2v_spark.train(place / "text.txt", place / "model", **SMALL)
    return place / "model"


@pytest.fixture
def later_text(tmp_path: Path) -> Path:
    draw = np.random.default_rng(5)
    lines = [" ".join(f"{('town', 'star')[i % 2]}{j}" for j in draw.integers(0, 9, 9)) for i in range(600)]
    path = tmp_path / "later.txt"
    path.write_text("\n".join([*lines, RARE]))
    return path


def counts_of(output: Path) -> dict[str, int]:
    return {row["word"]: row["count"] for row in pq.read_table(output / "vocab").to_pylist()}


def vectors_of(output: Path) -> dict[str, np.ndarray]:
    words, _, vectors = read_model(store.open_model(str(output)))
    return dict(zip(words.to_pylist(), vectors, strict=True))


def first_vectors(text: Path, output: Path, **options: Any) -> dict[str, dict[str, np.ndarray]]:
    """The matrices before any round, by word."""
    with fit.prepare(Source(paths=(str(text),)), output, **options, **SMALL) as run:
        pointer = run._begin_rounds().pointer
    words, found = run.vocabulary.read()["word"].to_pylist(), {}
    for matrix in MATRICES:
        blocks = sorted(pointer.blocks(run.run.work, matrix))
        rows = np.concatenate([np.frombuffer(values, "<f4").reshape(-1, 12) for _, values in blocks])
        found[matrix] = dict(zip(words, rows, strict=True))
    return found


def write_list(path: Path, *words: str) -> Path:
    path.write_text("\n".join(words), encoding="utf-8")
    return path


def told(caplog: pytest.LogCaptureFixture, what: str) -> list[str]:
    """What the log told with these words in it."""
    return [record.getMessage() for record in caplog.records if what in record.getMessage()]


@pytest.mark.parametrize("rows", [5, 10_000])
def test_where_vectors_start(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    from w2v_spark.spark import rounds

    for module in (rounds, warm_start):
        monkeypatch.setattr(module, "rows_per_block", lambda _: rows)
    start, known = first_vectors(later_text, tmp_path / "out", start_from=earlier), vectors_of(earlier)
    assert set(start["syn0"]) == set(known) | {f"star{i}" for i in range(9)}
    for word, vector in start["syn0"].items():
        expected = known[word] if word in known else initial_vectors([word], 12, 1)[0]
        np.testing.assert_array_equal(vector, expected, err_msg=word)
    assert not any(vector.any() for vector in start["syn1"].values())


def test_old_words_are_kept_and_new_ones_learnt(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path
) -> None:
    longer = SMALL | {"max_iter": 10, "rounds_per_epoch": 1}
    trained = w2v_spark.train(later_text, tmp_path / "out", start_from=earlier, **longer)
    counts, before, after = counts_of(tmp_path / "out"), vectors_of(earlier), vectors_of(tmp_path / "out")
    assert counts["sea3"] == 0 and counts[RARE] == 1 and counts["town3"] > 100 and counts["star3"] > 100
    for i in range(10):
        np.testing.assert_array_equal(after[f"sea{i}"], before[f"sea{i}"])
    assert all((after[f"town{i}"] != before[f"town{i}"]).any() for i in range(9))
    assert all(word.startswith("star") for word, _ in trained.wv.most_similar("star3", topn=8))
    assert all(word.startswith("sea") for word, _ in trained.wv.most_similar("sea3", topn=9))
    started = json.loads((tmp_path / "out" / "model.json").read_text())["start_from"]
    assert started.startswith(f"file:{earlier} (")


def test_a_ready_vocabulary_is_the_whole_vocabulary(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").write_text("town1\nsea1\nstar1\n")
    w2v_spark.train(later_text, tmp_path / "out", vocab=tmp_path / "words.txt", start_from=earlier, **SMALL)
    assert set(counts_of(tmp_path / "out")) == {"town1", "sea1", "star1"}
    np.testing.assert_array_equal(vectors_of(tmp_path / "out")["sea1"], vectors_of(earlier)["sea1"])


def test_vectors_of_another_tool(spark: SparkSession, later_text: Path, tmp_path: Path) -> None:
    vectors = np.random.default_rng(1).normal(size=(2, 12)).astype(np.float32)
    (tmp_path / "glove.txt").write_text(
        "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in zip(("paris", "town3"), vectors, strict=True))
    )
    cli.main(["convert", "--input", str(tmp_path / "glove.txt"), "--output", str(tmp_path / "glove")])
    start = first_vectors(later_text, tmp_path / "out", start_from=tmp_path / "glove")["syn0"]
    np.testing.assert_array_equal([start["paris"], start["town3"]], vectors)


def test_frozen_words_keep_their_vectors(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Through the command, all of the earlier model, and replicas that merge through storage; a list, and replicas that
    merge directly.
    """
    options = ["--min-count=3", "--sample=0", "--max-iter=1", "--vector-size=12", "--num-replicas=2"]
    options += ["--threads-per-replica=1", "--rounds-per-epoch=1", "--start-from", str(earlier), "--freeze", "earlier"]
    assert cli.train_main(["--input", str(later_text), "--output", str(tmp_path / "all"), *options]) == 0
    words = write_list(tmp_path / "words.txt", "\ufefftown1", "town2 7", "sea1", "", "star1", "nowhere", "town1")
    replicas = {"num_replicas": 2, "exchange": "direct", "max_iter": 1, "rounds_per_epoch": 1}
    caplog.clear()
    w2v_spark.train(later_text, tmp_path / "some", start_from=earlier, freeze=words, **SMALL | replicas)
    assert told(caplog, "not in the") == [
        f"1 of 5 words of {words} are not in the vocabulary: 'nowhere'",
        f"1 of 5 words of {words} are not in the model to start from, and learn as other new words do: 'star1'",
    ]
    known = vectors_of(earlier)
    for output, frozen in (("all", set(known)), ("some", {"town1", "town2", "sea1"})):
        after = vectors_of(tmp_path / output)
        start = known | {f"star{i}": initial_vectors([f"star{i}"], 12, 1)[0] for i in range(9)}
        same = {word for word in start if after[word].tobytes() == start[word].tobytes()}
        # sea and hill are not in the later text, town9 but alone in its line
        assert same == frozen | {word for word in start if word.startswith(("sea", "hill"))} | {RARE}
        assert pq.read_table(tmp_path / output / "vocab").column_names == ["id", "word", "count"]
    assert [json.loads((tmp_path / o / "model.json").read_text())["freeze"][:7] for o in ("all", "some")] == [
        "earlier",
        f"file:{words}"[:7],
    ]


def test_going_on_from_the_same_start_alone(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, words = tmp_path / "out", write_list(tmp_path / "words.txt", "town1")
    w2v_spark.train(later_text, tmp_path / "whole", start_from=earlier, freeze=words, **SMALL)

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        interrupt(patched, loop, "write_metrics", lambda work, round, rows: round == 2)
        w2v_spark.train(later_text, output, start_from=earlier, freeze=words, **SMALL)
    other = shutil.copytree(earlier, tmp_path / "other")
    start_was, freeze_was = f"start_from was file:{earlier} \\(.*, now", f"freeze was file:{words} \\(1 words, .*, now"
    cases: list[tuple[Path | None, Path | str | None, str]] = [
        (None, None, f"{start_was} none, {freeze_was} none"),
        (other, words, f"{start_was} file:{other} "),
        (earlier, "earlier", f"{freeze_was} earlier"),
    ]
    for start, freeze, differing in cases:
        with pytest.raises(OutputError, match=rf"started otherwise \({differing}"):
            w2v_spark.train(later_text, output, start_from=start, freeze=freeze, **SMALL)
    with pytest.raises(OutputError, match=f"otherwise \\({freeze_was} file:{words} \\(2 words, "):
        write_list(words, "town1", "town2")
        w2v_spark.train(later_text, output, start_from=earlier, freeze=words, **SMALL)
    write_list(words, "town1")
    w2v_spark.train(later_text, output, start_from=earlier, freeze=words, **SMALL)
    whole, found = vectors_of(tmp_path / "whole"), vectors_of(output)
    assert whole.keys() == found.keys() and all((whole[word] == found[word]).all() for word in whole)


def test_another_start_counts_another_vocabulary(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, one = Source(paths=(str(later_text),)), write_list(tmp_path / "one.txt", "sea1")
    known = {f"{name}{i}" for name in ("sea", "hill", "town") for i in range(10)}
    cases: list[tuple[Path | None, Path | str | None, int, set[str]]] = [
        (earlier, None, 39, set()),
        (earlier, "earlier", 39, known),
        (earlier, "earlier", 39, known),
        (earlier, one, 39, {"sea1"}),
        (None, None, 18, set()),
    ]
    for start, freeze, words, expected in cases:
        with fit.prepare(source, tmp_path / "out", start_from=start, freeze=freeze, **SMALL) as run:
            assert (run.vocabulary.words, run.vocabulary.frozen) == (words, len(expected))
            rows = run.vocabulary.read().to_pylist()
        assert {row["word"] for row in rows if row.get("frozen")} == expected
        assert all(("frozen" in row) == bool(expected) for row in rows)
    assert len(told(caplog, "reuse from an earlier run: vocabulary")) == 1
    assert told(caplog, "words are frozen") == ["30 of 39 words are frozen", "1 of 39 words are frozen"]


def test_only_the_files_that_were_named_are_read(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path
) -> None:
    """In a directory whose name Hadoop would take for a pattern, with stray files."""
    odd = shutil.copytree(earlier, tmp_path / "a [1]{2}*?%20" / "model")
    stray = {"id": pa.array([0], pa.int32()), "word": ["town1"], "count": [7], "vector": [[9.0] * 12]}
    pq.write_table(pa.table(stray), odd / "vectors" / "part-99999.parquet")
    with fit.prepare(Source(paths=(str(later_text),)), tmp_path / "out", start_from=odd, **SMALL) as run:
        words = run.vocabulary.read()["word"].to_pylist()
        pq.write_table(pa.table(stray).drop(["vector"]), f"{run.run.own.path}/vocab/part-99999.parquet")
        pointer = run._begin_rounds().pointer
        files = publish.write_vocabulary(spark, run.run, run.vocabulary)
        table = store.read_files(run.run.draft.child("vocab"), files, store.VOCAB_SCHEMA)
        published = table.sort_by("id")["word"].to_pylist()
    ((_, values),) = pointer.blocks(run.run.work, SYN0)
    start = dict(zip(words, np.frombuffer(values, "<f4").reshape(-1, 12), strict=True))
    assert published == words and len(start) == 39
    for word, vector in vectors_of(earlier).items():
        np.testing.assert_array_equal(start[word], vector)


ODD: dict[str, tuple[Any, Any, str]] = {
    "a size in words": ("four", None, "is damaged: model.json says params.vector_size 'four', must be at least 1"),
    "files that are no list": (12, "x", "files.vectors of model.json is no list of names and bytes"),
    "files without sizes": (12, [{"name": "x"}], "files.vectors of model.json is no list of names and bytes"),
    "no files": (12, [], "vectors holds no vectors to start from: model.json names no files"),
    "a hidden file": (12, ["_a.parquet"], "names the file '_a.parquet', which Spark takes for hidden: give it a name"),
    "a file elsewhere": (12, ["../a.parquet"], "which lies outside of it: the directory is not ours"),
    "other columns": (12, ["b.parquet"], r"needs the columns word \(string\) .*, and has: word \(int64\)$"),
}


@pytest.mark.parametrize("what", ODD)
def test_odd_manifests_of_earlier_models(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, what: str
) -> None:
    size, files, message = ODD[what]
    odd = shutil.copytree(earlier, tmp_path / "odd")
    pq.write_table(pa.table({"word": [1]}), odd / "vectors" / "b.parquet")
    shutil.copy(next((odd / "vectors").glob("part-*.parquet")), odd / "vectors" / "_a.parquet")
    if isinstance(files, list) and all(isinstance(name, str) for name in files):
        sizes = {path.name: path.stat().st_size for path in (odd / "vectors").iterdir()}
        files = [{"name": name, "bytes": sizes.get(name, 0)} for name in files]
    manifest = json.loads((odd / "model.json").read_text())
    manifest["params"]["vector_size"] = size
    if files is not None:
        manifest["files"]["vectors"] = files
    (odd / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=message):
        w2v_spark.train(later_text, tmp_path / "out", start_from=odd, **SMALL)
    assert not (tmp_path / "out").exists()


def test_an_earlier_model_with_a_word_twice() -> None:
    table = pa.table({"id": [4, 4], "word": ["a", "a"], "vector": pa.array([[1.0], [2.0]], pa.list_(pa.float32()))})
    with pytest.raises(FormatError, match="the model to start from is damaged: it has a word more than once"):
        warm_start._first_vectors(table, 1, seed=1)


def test_what_cannot_be_started_from(
    spark: SparkSession, earlier: Path, later_text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = shutil.copytree(earlier, tmp_path / "damaged")
    next((damaged / "vectors").glob("*.parquet")).unlink()
    cases: list[tuple[Path, dict[str, Any], type[Exception], str]] = [
        (tmp_path / "missing", {}, FormatError, "no vectors at .*missing"),
        (damaged, {}, FormatError, "is missing, the manifest says"),
        (earlier, {"vector_size": 30}, ParamError, "invalid value 30: must be 12, as that of the model to start from"),
    ]
    for start, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            w2v_spark.train(later_text, tmp_path / "out", start_from=start, **SMALL | options)
    (tmp_path / "link").symlink_to(earlier)
    for same in (earlier, tmp_path / "link", earlier / "vectors"):
        with pytest.raises(ParamError, match="the model to start from is the output itself"):
            w2v_spark.train(later_text, earlier, start_from=same, overwrite=True, **SMALL)
    arguments = ["--input", str(later_text), "--output", str(tmp_path / "out"), "--vector-size", "30"]
    assert cli.train_main([*arguments, "--start-from", str(earlier)]) == 2
    assert "error: parameter vector_size given invalid value 30: must be 12" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_frozen(
    spark: SparkSession,
    earlier: Path,
    later_text: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    nothing, unknown = write_list(tmp_path / "nothing.txt", " "), [f"w{i}" for i in range(7)]
    strange, new = write_list(tmp_path / "strange.txt", *unknown), write_list(tmp_path / "new.txt", "star1", "w0")
    town = write_list(tmp_path / "town.txt", "star1", "star2")
    cases: list[tuple[Path | str, dict[str, Any], type[Exception], str]] = [
        ("earlier", {"start_from": None}, ParamError, "freeze earlier needs a model to start from, whose vectors the "
            "frozen words keep: give it by --start-from, or leave out --freeze"),
        (new, {"vectors": "mean"}, ParamError, "parameter vectors given invalid value 'mean': must be input with "
            f"freeze {new}, as only the vectors of words as centres can be frozen"),
        (tmp_path / "gone", {}, InputError, f"file of words to freeze {tmp_path}/gone does not exist"),
        (nothing, {}, InputError, f"file of words to freeze {nothing} is empty: it needs a word a line"),
        (strange, {}, InputError, f"none of the 7 words of {strange} is in the vocabulary ('w0', 'w1', 'w2', 'w3', "
            "'w4', ...), so that freeze keeps none: check the file and --lowercase"),
        (new, {}, InputError, f"no word of {new} that is in the vocabulary ('star1') is in the model to start from, "
            f"file:{earlier}: freeze needs words that it has a vector of"),
        ("earlier", {"vocab": town}, InputError, f"no word of the model to start from, file:{earlier}, is in the "
            "vocabulary, so that freeze earlier keeps none: check --vocab and --max-vocab, or leave out --freeze"),
    ]  # fmt: skip
    refused = ["--input", str(later_text), "--output", str(tmp_path / "out"), "--freeze", "earlier"]
    with monkeypatch.context() as patched:
        patched.setattr("w2v_spark.spark.session.own_session", None)  # told before Spark starts
        assert cli.main(["train", *refused]) == 2
    assert capsys.readouterr().err == f"error: {cases[0][3]}\n"
    for freeze, options, kind, message in cases:
        given = {"start_from": earlier, "freeze": freeze} | SMALL | options
        with pytest.raises(kind, match=f"^{re.escape(message)}$"):
            w2v_spark.train(later_text, tmp_path / "out", **given)
