"""Analogies and word pairs: gensim and scipy as oracles, and what is said about malformed files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given
from hypothesis import strategies as st
from make_model_v1 import MODEL_V1
from scipy import stats

from w2v_spark.errors import InputError, ParamError
from w2v_spark.vectors import metrics
from w2v_spark.vectors.evaluate import PairReport, Score, evaluate_analogies, evaluate_pairs, spearman
from w2v_spark.vectors.vectors import Vectors

EVAL = Path(__file__).resolve().parents[2] / "shared" / "eval"


def eval_file(name: str) -> Path:
    """A public evaluation set; not ours to copy into the repository."""
    path = EVAL / name
    if not path.exists():
        pytest.skip(f"needs the evaluation set {path}")
    return path


def both(words: list[str], numbers: np.ndarray) -> tuple[Vectors, KeyedVectors]:
    theirs = KeyedVectors(numbers.shape[1])
    theirs.add_vectors(words, numbers)
    return Vectors(words, numbers), theirs


def compare_analogies(mine: Vectors, theirs: KeyedVectors, path: Path, **options: object) -> int:
    """The numbers of each section are gensim's; returns how many answers are correct."""
    report = evaluate_analogies(mine, path, **options)  # type: ignore[arg-type]
    _, sections = theirs.evaluate_word_analogies(str(path), **options)
    counts = [(s.name, s.correct, s.asked) for s in report.sections]
    expected = [(s["section"], len(s["correct"]), len(s["correct"]) + len(s["incorrect"])) for s in sections[:-1]]
    assert counts == expected
    assert (report.total.correct, report.total.asked) == (sum(c[1] for c in counts), sum(c[2] for c in counts))
    return report.total.correct


# ---- analogies


def test_analogies_of_model_v1(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text(
        ": family\nsusuki susukiri busamu busamuri\nSusuki susukiri FUTIMA futimari\nsusuki susukiri busamu nowhere\n"
        "\n: gram1-first\r\nsusuki busamu futima fizeda\n: gram2-none\n",
        encoding="utf-8-sig",
    )
    report = evaluate_analogies(Vectors.open(MODEL_V1), path)
    assert report.sections == (Score("family", 1, 2, 1), Score("gram1-first", 0, 1, 0), Score("gram2-none", 0, 0, 0))
    assert report.semantic == Score("semantic", 1, 2, 1)
    assert report.syntactic == Score("syntactic", 0, 1, 0)
    assert report.total == Score("total", 1, 3, 1)
    assert report.vocabulary == 200
    assert report.total.accuracy == pytest.approx(1 / 3)
    assert report.sections[2].accuracy is None


@pytest.mark.parametrize("restrict_vocab", [300_000, 200, 60])
@pytest.mark.parametrize("case_insensitive", [True, False])
def test_analogies_as_gensim(tmp_path: Path, restrict_vocab: int, case_insensitive: bool) -> None:
    random = np.random.default_rng(restrict_vocab)
    # several spellings of a word: the nearest word is often another spelling of a given one
    drawn = (str(random.choice(["w{}", "W{}", "ẃ{}"])).format(random.integers(90)) for _ in range(900))
    words = list(dict.fromkeys(drawn))
    numbers = random.normal(size=(len(words), 3)).astype(np.float32)
    lines = []
    for section in range(4):
        lines += [f": section {section}", "W1 w2 nowhere w3"]
        for _ in range(300):
            a, b, c, d = random.integers(0, min(restrict_vocab, len(words)), 4)
            rows = metrics.unit(numbers[: min(restrict_vocab, len(words))])
            near = np.argsort(-(rows @ (rows[b] - rows[a] + rows[c])))[:5]
            for answer in (d, b, random.choice(near)):
                lines.append(" ".join(words[i] for i in (a, b, c, answer)))
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    mine, theirs = both(words, numbers)
    options = {"restrict_vocab": restrict_vocab, "case_insensitive": case_insensitive}
    assert compare_analogies(mine, theirs, path, **options) > 50


@pytest.fixture(scope="module")
def planted() -> tuple[Vectors, KeyedVectors]:
    """Words of questions-words.txt and more, in random order, with a fifth of the questions made to hold."""
    random = np.random.default_rng(0)
    questions = [q.split() for q in eval_file("questions-words.txt").read_text().splitlines() if q[0] != ":"]
    words = list(dict.fromkeys([w.lower() for q in questions[::3] for w in q] + [f"w{i}" for i in range(5_000)]))
    random.shuffle(words)
    numbers = dict(zip(words, random.normal(size=(len(words), 40)).astype(np.float32), strict=True))
    for q in questions[::5]:
        a, b, c, d = (w.lower() for w in q)
        if {a, b, c, d} <= numbers.keys():
            numbers[d] = numbers[b] - numbers[a] + numbers[c] + 0.3 * numbers[d]
    return both(words, np.stack(list(numbers.values())).astype(np.float32))


def test_questions_words_as_gensim(planted: tuple[Vectors, KeyedVectors]) -> None:
    path = eval_file("questions-words.txt")
    assert compare_analogies(*planted, path, restrict_vocab=4_000) > 20
    report = evaluate_analogies(planted[0], path, restrict_vocab=4_000)
    assert [s.name for s in report.sections[:1] + report.sections[-1:]] == [
        "capital-common-countries",
        "gram9-plural-verbs",
    ]
    assert report.semantic.asked + report.semantic.skipped == 8_869
    assert report.syntactic.asked + report.syntactic.skipped == 10_675
    assert report.total.asked + report.total.skipped == 19_544


def analogy_error(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "questions.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as error:
        evaluate_analogies(Vectors.open(MODEL_V1), path)
    return str(error.value).removeprefix(str(path))


QUESTION = "expected four words 'A B C D' (A is to B as C is to D) or ': section'"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f" holds no questions: {QUESTION} on each line"),
        (": one\n\n: two\n", f" holds no questions: {QUESTION} on each line"),
        ("a b c d\n", ", line 1: expected a line ': section' before the first question, got 'a b c d'"),
        (": s\na b c d\n\na b c\n", f", line 4: {QUESTION}, got 'a b c'"),
        (": s\n" + "word " * 30, f", line 2: {QUESTION}, got '" + ("word " * 30)[:57] + "...'"),
        (b": s\na b c \xff\n", f", line 2 is not UTF-8 text: {QUESTION}"),
    ],
)
def test_malformed_analogies(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert analogy_error(tmp_path, text) == message


def test_file_that_is_not_there(tmp_path: Path) -> None:
    for evaluate in (evaluate_analogies, evaluate_pairs):
        with pytest.raises(InputError) as error:
            evaluate(Vectors.open(MODEL_V1), tmp_path / "none.txt")
        assert str(error.value) == f"cannot read {tmp_path}/none.txt: No such file or directory"
        with pytest.raises(InputError) as error:
            evaluate(Vectors.open(MODEL_V1), tmp_path)
        assert str(error.value) == f"cannot read {tmp_path}: Is a directory"


def test_restrict_vocab_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "questions.txt"
    path.write_text(": s\na b c d\n")
    with pytest.raises(ParamError) as error:
        evaluate_analogies(Vectors.open(MODEL_V1), path, restrict_vocab=0)
    assert str(error.value) == "restrict_vocab must be an integer of at least 1, or None, got 0"


# ---- word pairs


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40))
def test_spearman_as_scipy(pairs: list[tuple[int, int]]) -> None:
    x, y = (np.array(side, float) for side in zip(*pairs, strict=True))
    rho = spearman(x, y)
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert rho is None
    else:
        assert rho == pytest.approx(float(stats.spearmanr(x, y).statistic), abs=1e-12)


def test_spearman_of_nothing() -> None:
    assert spearman(np.zeros(0), np.zeros(0)) is None
    assert spearman(np.ones(1), np.ones(1)) is None


@pytest.mark.parametrize(("name", "delimiter", "count"), [("ws353.txt", "\t", 353), ("SimLex999.txt", " ", 999)])
@pytest.mark.parametrize("restrict_vocab", [300_000, 700])
def test_pairs_as_gensim(name: str, delimiter: str, count: int, restrict_vocab: int) -> None:
    path = eval_file(name)
    random = np.random.default_rng(1)
    words = list(dict.fromkeys(w.title() for line in path.read_text().splitlines() for w in line.split(delimiter)[:2]))
    words = [str(w) for w in random.permutation(words)[: int(len(words) * 0.8)]]
    words += [w.lower() for w in words[::3]]
    mine, theirs = both(words, random.normal(size=(len(words), 10)).astype(np.float32))
    report = evaluate_pairs(mine, path, restrict_vocab)
    _, expected, skipped = theirs.evaluate_word_pairs(str(path), delimiter=delimiter, restrict_vocab=restrict_vocab)
    assert report.spearman == pytest.approx(float(expected.statistic), abs=1e-9)
    assert report.pairs + report.skipped == count
    assert 100 * report.skipped / count == pytest.approx(skipped)


@pytest.mark.parametrize(
    "text",
    [
        "susuki\tbusamu\t3\nbusamu\tfutima\t2\nSUSUKI\tfizeda\t9.5\nx\ty\t3\n",
        "susuki busamu 3\nbusamu  futima 2\nsusuki fizeda 9.5\nx y 3",
        "susuki,busamu,3\r\nbusamu, futima,2\r\nsusuki,fizeda,9.5\r\nx,y,3\r\n",
        "# some\nWord 1,Word 2,Human (mean)\nsusuki,busamu,3\n\n# more\nbusamu,futima,2\nsusuki,fizeda,9.5\nx,y,3\n",
        "\ufeffword1\tword2\trating\nsusuki\tbusamu\t3\nbusamu\tfutima\t2\nsusuki\tfizeda\t9.5\nx\ty\t3\n",
    ],
)
def test_forms_of_pair_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(text, encoding="utf-8")
    report = evaluate_pairs(Vectors.open(MODEL_V1), path)
    assert report == PairReport(str(path), 200, 3, 1, pytest.approx(1.0))


def test_pairs_of_unknown_words(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("x y 3\nsusuki y 2\n")
    assert evaluate_pairs(Vectors.open(MODEL_V1), path) == PairReport(str(path), 200, 0, 2, None)
    none = Vectors([], np.empty((0, 4), np.float32))
    assert evaluate_pairs(none, path) == PairReport(str(path), 0, 0, 2, None)


PAIR = "expected two words and a number, separated by tabs, commas or spaces"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# nothing\n", f" holds no word pairs: {PAIR} on each line"),
        ("a b c\n", f" holds no word pairs: {PAIR} on each line"),
        ("a b\n", f", line 1: {PAIR}, got 'a b'"),
        ("a\tb\t1\n\na\tb\tmany\n", f", line 3: {PAIR}, got 'a\\tb\\tmany'"),
        ("a b 1\na b 1 2\n", f", line 2: {PAIR}, got 'a b 1 2'"),
        ("a,,1\n", f", line 1: {PAIR}, got 'a,,1'"),
        ("a b nan\nc d inf\n", f", line 2: {PAIR}, got 'c d inf'"),
        (b"a b \xff\n", f", line 1 is not UTF-8 text: {PAIR}"),
    ],
)
def test_malformed_pairs(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError) as error:
        evaluate_pairs(Vectors.open(MODEL_V1), path)
    assert str(error.value).removeprefix(str(path)) == message
