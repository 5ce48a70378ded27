"""Pictures as a user draws them, and what they are made of: places, labels, fonts, and what is said about mistakes."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from make_model_v1 import MODEL_V1, write_model
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from test_report import metrics_rows

from w2v_spark import store
from w2v_spark.cli import main
from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.cli_plot import plot_main
from w2v_spark.errors import ParamError, UnknownWordError, pip_install
from w2v_spark.pictures import fonts
from w2v_spark.pictures.heatmap import heatmap
from w2v_spark.pictures.layout import lay_out
from w2v_spark.pictures.rounds_chart import _ends_of_epochs, rounds_chart
from w2v_spark.pictures.word_map import word_map
from w2v_spark.place import Place
from w2v_spark.training.history import read_rounds, trained_rounds
from w2v_spark.vectors.metrics import unit
from w2v_spark.vectors.vectors import Vectors

WORDS = ["susuki", "susukiri", "busamu", "busamuri", "medoke", "fizeda"]
# letters that matplotlib's own font lacks
HAN = "東京"


def add_rounds(out: Path) -> Path:
    """Gives a model the metrics of a run."""
    (out / store.METRICS).mkdir()
    pq.write_table(pa.Table.from_pylist(metrics_rows(8)), out / store.METRICS / "part-0.parquet")
    place = Place.open(out)
    manifest = place.read_json(store.MANIFEST)
    manifest["files"][store.METRICS] = store.files_as_json(place.child(store.METRICS).files())
    place.write_json(store.MANIFEST, manifest)
    return out


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """model-v1 with rounds."""
    return add_rounds(Path(shutil.copytree(MODEL_V1, tmp_path / "out" / "en")))


def labels(figure: Figure) -> list[Annotation]:
    """The words that a map shows."""
    return [child for child in figure.axes[0].get_children() if isinstance(child, Annotation) and child.get_text()]


# ---- the command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["map", *WORDS, "--save", "p.png"], "map of 6 words"),
        (["map", "--top", "50", "--save", "p.svg"], "map of the 50 most frequent words"),
        (
            ["map", "--method", "tsne", "--top", "20", "--seed", "3", "--save", "p.png"],
            "map of the 20 most frequent words",
        ),
        (["heatmap", *WORDS, "Susuki", "--save", "p.svg"], "heat map of 6 words"),
        (["rounds", "--save", "p.svg"], "loss and speed of 8 rounds"),
    ],
)
def test_plot(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = Path(arguments[-1])
    assert plot_main(["--vectors", f"{trained}/vectors", *arguments]) == 0
    assert capsys.readouterr() == (f"{said}: {picture}\n", "")
    data = picture.read_bytes()
    if picture.suffix == ".png":
        assert data.startswith(b"\x89PNG") and len(data) > 10_000
        return
    assert ElementTree.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg"
    assert plot_main(["--vectors", f"{trained}/vectors", *arguments]) == 0
    assert picture.read_bytes() == data


def test_options_after_the_picture_and_the_command_w2v(trained: Path, tmp_path: Path) -> None:
    assert main(["plot", "rounds", "--vectors", str(trained), "--save", str(tmp_path / "a.SVG")]) == 0
    assert (tmp_path / "a.SVG").read_bytes().startswith(b"<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["map"], "no file given: add --save FILE, which ends in .png or .svg"),
        (["map", "--save", "map.jpg"], "--save must end in .png or .svg, got 'map.jpg'"),
        (["map", "--save", "nowhere/map.png"], "cannot write nowhere/map.png: there is no folder nowhere"),
        (["map", "--save", "map.png", "susuki", "--top", "9"], "give words or --top N, not both"),
        (["map", "--save", "map.png", "--top", "2"], "--top must be from 3 to 2,000, got 2"),
        (["map", "--save", "map.png", "susuki", "medoke"], "a map needs at least 3 words, got 2"),
        (
            ["map", "--save", "map.png", "susuki", "susukki"],
            "word 'susukki' is not in the vocabulary of 200 words; near spellings: susuki, susukiri",
        ),
        (["heatmap", "--save", "map.png", "susuki", "Susuki"], "a heat map shows 2 to 60 words, got 1"),
        (["rounds", "--save", "map.png"], f"{MODEL_V1} has no metrics of rounds: it was converted, not trained"),
    ],
)
def test_mistakes(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert plot_main(["--vectors", str(MODEL_V1), *arguments]) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")
    assert list(tmp_path.iterdir()) == []


def test_vectors_must_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plot_main(["map", "--save", str(tmp_path / "a.png")]) == 2
    assert capsys.readouterr().err == "error: no vectors given: add --vectors DIR, the output of a training run\n"


@pytest.mark.parametrize(
    ("package", "arguments", "what", "extra"),
    [("matplotlib", ["map"], "a picture", "plot"), ("sklearn", ["map", "--method", "tsne"], "t-SNE", "tsne")],
)
def test_missing_extra(tmp_path: Path, package: str, arguments: list[str], what: str, extra: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None; from w2v_spark.cli_plot import plot_main; sys.exit(plot_main())"
    )
    options = ["--vectors", str(MODEL_V1), "--save", str(tmp_path / "a.png")]
    done = subprocess.run([sys.executable, "-c", code, *arguments, *options], capture_output=True, text=True)
    told = f"error: {what} requires extra '{extra}': install it with {pip_install(extra)}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    heavy = "{'matplotlib', 'pyspark', 'sklearn'}"
    code = f"import sys, w2v_spark.cli, w2v_spark.pictures.report; print({heavy} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# ---- places


def test_principal_components() -> None:
    from sklearn.decomposition import PCA

    vectors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    theirs = PCA(2).fit(unit(vectors).astype(float))
    mine = lay_out(vectors, "pca")
    np.testing.assert_allclose(np.abs(mine.points), np.abs(theirs.transform(unit(vectors).astype(float))), atol=1e-9)
    assert mine.labels == tuple(
        f"principal component {i} ({100 * share:.0f} % of the variance)"
        for i, share in enumerate(theirs.explained_variance_ratio_, 1)
    )
    # the same places whatever the lengths of the vectors
    np.testing.assert_allclose(lay_out(vectors * 7, "pca").points, mine.points, atol=1e-6)


@pytest.mark.parametrize("vectors", [np.ones((3, 4)), np.zeros((5, 2)), np.arange(3.0)[:, None]])
def test_vectors_that_hardly_differ(vectors: np.ndarray) -> None:
    for method in ("pca", "tsne"):
        layout = lay_out(vectors.astype(np.float32), method)
        assert layout.points.shape == (len(vectors), 2) and np.isfinite(layout.points).all()


def test_tsne_keeps_neighbours_together() -> None:
    random = np.random.default_rng(1)
    topics = np.repeat(np.arange(4), 15)
    vectors = (4 * np.eye(4)[topics] + 0.3 * random.normal(size=(60, 4))).astype(np.float32)
    points = lay_out(vectors, "tsne", seed=2).points
    apart = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e9 * np.eye(60)
    assert (topics[apart.argmin(axis=1)] == topics).all()
    np.testing.assert_array_equal(points, lay_out(vectors, "tsne", seed=2).points)


def test_method_must_be_known() -> None:
    with pytest.raises(ParamError, match="method must be one of pca, tsne, got 'umap'"):
        lay_out(np.eye(3, dtype=np.float32), "umap")


# ---- pictures


@pytest.mark.parametrize("top", [30, 200])
def test_labels_of_a_map_do_not_overlap(top: int) -> None:
    vectors = Vectors.open(MODEL_V1)
    figure = word_map(vectors, vectors.index_to_key[:top], "a $title$")
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "a $title$" and "principal component 1 (" in axes.get_xlabel()
    assert figure.axes[1].get_ylabel() == "times seen in the text"
    found = labels(figure)
    boxes = np.array([label.get_window_extent().extents for label in found])
    across = (boxes[:, None, 0] < boxes[None, :, 2] - 1) & (boxes[None, :, 0] < boxes[:, None, 2] - 1)
    along = (boxes[:, None, 1] < boxes[None, :, 3] - 1) & (boxes[None, :, 1] < boxes[:, None, 3] - 1)
    assert (across & along).sum() == len(boxes)  # each with itself alone
    frame = axes.get_window_extent().extents
    assert (boxes[:, :2] >= frame[:2] - 1).all() and (boxes[:, 2:] <= frame[2:] + 1).all()
    notes = [text.get_text() for text in axes.texts if "no label" in text.get_text()]
    left = top - len(found)
    assert notes == ([f"{left} of {top} words have no label: there is no room for it"] if left else [])
    assert left == 0 or top == 200 and left < 150


def test_map_of_words_without_counts() -> None:
    words = ["$x^2$", r"$\frac$", "a_b", "new\nline", "-", "long" * 2500]
    vectors = Vectors(words, np.random.default_rng(3).normal(size=(6, 5)).astype(np.float32))
    figure = word_map(vectors, words, words[1])
    assert [label.get_text() for label in labels(figure)] == [w.replace("\n", "\\n") for w in words[:-1]] + [
        ("long" * 10)[:-1] + "…"
    ]
    assert len(figure.axes) == 1
    for drawn in (figure, heatmap(vectors, words, words[1])):
        drawn.draw_without_rendering()  # dollars are no mathematics, which would fail
    with pytest.raises(ParamError, match="a map holds at most 2,000 words, got 2,001"):
        word_map(Vectors([str(i) for i in range(2001)], np.ones((2001, 2), np.float32)), range(2001), "t")  # type: ignore[arg-type]


def test_heatmap_shows_vectors_and_cosines() -> None:
    vectors = Vectors.open(MODEL_V1)
    figure = heatmap(vectors, [*WORDS, WORDS[0]], "t")
    left, right = figure.axes[:2]
    np.testing.assert_array_equal(left.images[0].get_array(), vectors[WORDS])
    cosines = np.asarray(right.images[0].get_array())
    assert cosines[0, 4] == pytest.approx(vectors.similarity(WORDS[0], WORDS[4]), abs=1e-6)
    for axis in (left.yaxis, right.yaxis, right.xaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == WORDS
    assert [t.get_text() for t in right.texts][:6] == [f"{c:.2f}" for c in cosines[0]]
    assert left.get_xlabel() and [axes.get_ylabel() for axes in figure.axes[2:]] == [
        "value (no unit)",
        "cosine (-1 to 1)",
    ]
    with pytest.raises(UnknownWordError, match="near spellings: susuki"):
        heatmap(vectors, ["susuki", "susukki"], "t")


def test_rounds_are_drawn(trained: Path) -> None:
    rounds = read_rounds(store.open_model(str(trained)))
    assert rounds == trained_rounds(metrics_rows(8))
    above, below = rounds_chart(rounds, "t").axes
    np.testing.assert_array_equal(above.lines[0].get_ydata(), [r.loss for r in rounds])
    np.testing.assert_array_equal(below.lines[0].get_ydata(), [r.words_per_second for r in rounds])
    assert (above.get_ylabel(), below.get_ylabel()) == ("loss of a pair (nats)", "words a second")
    assert below.get_xlabel() == "round (dotted: the ends of epochs)" and below.get_ylim()[0] == 0
    # 8 rounds of 5 / 8 epochs
    assert _ends_of_epochs(rounds) == pytest.approx([1.6, 3.2, 4.8, 6.4, 8.0])
    each_an_epoch = rounds_chart(trained_rounds(metrics_rows(5, loss=None)), "t").axes[1]
    assert each_an_epoch.get_xlabel() == "round" and len(each_an_epoch.lines) == 1


# ---- fonts


@pytest.fixture
def han_font(tmp_path: Path) -> Path:
    """A font that has two ideographs and nothing else."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    names = [".notdef", *HAN]
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder([f"g{i}" if i else n for i, n in enumerate(names)])
    builder.setupCharacterMap({ord(letter): f"g{i}" for i, letter in enumerate(HAN, 1)})
    builder.setupGlyf(dict.fromkeys([".notdef", "g1", "g2"], pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys([".notdef", "g1", "g2"], (1000, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Two Ideographs", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "two.ttf")
    return tmp_path / "two.ttf"


def test_fonts_are_chosen_by_their_letters(
    han_font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.ttf").write_text("no font")
    paths = [str(tmp_path / "broken.ttf"), str(han_font)]
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: paths)
    assert fonts.families_for(["plain", "Привет"]) == ["DejaVu Sans"]
    assert fonts.families_for([HAN, "plain"]) == ["DejaVu Sans", "Two Ideographs"]
    assert caplog.messages == []
    figure = word_map(Vectors([HAN, "a", "b"], np.eye(3, dtype=np.float32)), [HAN, "a", "b"], "t")
    assert labels(figure)[0].get_fontname() and "Two Ideographs" in labels(figure)[0].get_fontfamily()


def test_letters_without_a_font_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", list)
    out = write_model(tmp_path / "out", [HAN, "a", "b", "京都"], np.eye(4, dtype=np.float32))
    with caplog.at_level(logging.WARNING):
        assert plot_main(["map", "--vectors", str(out), "--save", str(tmp_path / "a.png"), "--top", "4"]) == 0
    (message,) = caplog.messages
    assert message.startswith("no installed font has 京 東 都: a box stands for each; install a font of that script")
    assert [str(w.message) for w in recwarn if "Glyph" in str(w.message)] == []


# ---- docs/pictures.md


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
    commands = [line.split()[1:] for line in text.splitlines() if line.startswith(".venv/bin/python ")]
    words = list(dict.fromkeys(word for command in commands for word in command if word.isalpha()))
    words += [f"word{i}" for i in range(200)]
    numbers = np.random.default_rng(1).normal(size=(len(words), 4)).astype(np.float32)
    add_rounds(write_model(tmp_path / "out" / "en", words, numbers))
    monkeypatch.chdir(tmp_path)
    Path("questions-words.txt").write_text(": family\nking queen man woman\n")
    Path("ws353.txt").write_text("king queen 9\nman paris 1\n")
    for job, *arguments in commands:
        assert {"jobs/plot.py": plot_main, "jobs/evaluate.py": evaluate_main}[job](arguments) == 0
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(code, {})
    pictures = {"map.png", "frequent.svg", "heat.png", "rounds.svg", "four.png"}
    assert {path.name for path in tmp_path.iterdir()} >= pictures | {"scores.html"}
