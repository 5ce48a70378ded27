"""The page of evaluate's scores, and both pages in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from make_model_v1 import MODEL_V1
from test_report import Page, report

from w2v_spark import store
from w2v_spark.cli_evaluate import evaluate_main
from w2v_spark.vectors.vectors import Vectors


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of model-v1."""
    return Path(shutil.copytree(MODEL_V1, tmp_path / "model"))


def test_evaluate_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions, pairs, odd, page_file = (tmp_path / name for name in ("<q>.txt", "pairs.txt", "odd.txt", "scores.html"))
    questions.write_text(
        ": family\nsusuki susukiri busamu busamuri\na b c d\n: gram1 & <more>\nsusuki busamu futima fizeda\n"
    )
    pairs.write_text("susuki busamu 3\nbusamu futima 2\nsusuki fizeda 9\nx y 3\n")
    odd.write_text("susuki medoke busamu\nsusuki nowhere busamu\n")
    command = ["--vectors", str(MODEL_V1), "--analogies", str(questions), "--pairs", str(pairs), "--odd", str(odd)]
    assert evaluate_main(command) == 0
    without = capsys.readouterr().out
    assert evaluate_main([*command, "--html", str(page_file)]) == 0
    assert capsys.readouterr() == (without, "")
    page = Page(page_file)
    page.check_needs_nothing()
    for part in (
        f"Analogies: {questions}",
        "family | 100.0 % | 1 | 1 | 1",
        "gram1 & <more> | 0.0 % | 0 | 1 | 0",
        "total | 50.0 % | 1 | 2 | 1",
        "Answered by 3CosAdd among the 200 most frequent words. 1 of 3 skipped (33.3 %): a word is unknown.",
        f"{pairs} | 1.0000 | 0.9967 | 3 | 1 | 25.0 %",
        "1 of 2 skipped (50.0 %)",
        "words | 200 | numbers in each vector | 16",
        "max_vocab | none",
    ):
        assert part in page.rows(), part
    assert ("style", "width:50.0%") in page.attributes


def test_evaluate_page_of_a_file_of_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from w2v_spark.vectors.formats import write_file

    write_file(Vectors.open(MODEL_V1), tmp_path / "v.npy", "numpy")
    (tmp_path / "pairs.txt").write_text("susuki nowhere 3\n")
    command = ["--vectors", str(tmp_path / "v.npy"), "--pairs", str(tmp_path / "pairs.txt"), "--cosmul"]
    assert evaluate_main([*command, "--html", str(tmp_path / "p.htm")]) == 0
    assert "| - | - | 0 | 1 | 100.0 %" in Page(tmp_path / "p.htm").rows()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("scores.txt", "--html must end in .html or .htm, got 'scores.txt'"),
        ("nowhere/scores.html", "cannot write nowhere/scores.html: there is no folder nowhere"),
        ("folder.html", "cannot write folder.html: it is a folder"),
    ],
)
def test_evaluate_page_mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    assert evaluate_main(["--vectors", str(MODEL_V1), "--pairs", "pairs.txt", "--html", name]) == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


# ---- a browser


@pytest.fixture(scope="module")
def chromium() -> str:
    """A headless browser, where one is installed."""
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("needs Chromium, to open the pages in a real browser: none is on the PATH")


# measures the page in a frame as wide as a phone: what sticks out of it, and its smallest letters in pixels
MEASURE = """<!DOCTYPE html><body><iframe width="360" height="800" style="border:0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  const smallest = Math.min(...[...page.querySelectorAll("td, p, text")].map(
    e => parseFloat(page.defaultView.getComputedStyle(e).fontSize) *
      (e.ownerSVGElement ? e.ownerSVGElement.getBoundingClientRect().width / 440 : 1)));
  const root = page.documentElement;
  document.body.textContent = `out=${root.scrollWidth - root.clientWidth} smallest=${smallest.toFixed(1)} ` +
    `height=${root.scrollHeight} scripts=${page.scripts.length}`;
};
frame.srcdoc = PAGE;
</script></body>"""


def browse(chromium: str, page: Path, folder: Path) -> tuple[str, str]:
    """The page's document once a browser has opened it, and what the browser has against it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={folder}"]
    done = subprocess.run(
        [chromium, *options, "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@pytest.mark.parametrize("kind", ["report", "scores"])
def test_page_in_a_browser(chromium: str, model: Path, tmp_path: Path, kind: str) -> None:
    import json

    page = tmp_path / "scores.html"
    if kind == "report":
        report(model, rounds=50)
        page = model / store.REPORT
    else:
        (tmp_path / "pairs.txt").write_text("susuki busamu 3\nbusamu futima 2\nsusuki fizeda 9\n")
        evaluate_main(["--vectors", str(MODEL_V1), "--pairs", str(tmp_path / "pairs.txt"), "--html", str(page)])
    document, complaints = browse(chromium, page, tmp_path / "profile")
    assert complaints == "" and "</table>" in document
    measure = tmp_path / "measure.html"
    content = json.dumps(page.read_text(encoding="utf-8")).replace("</", "<\\/")
    measure.write_text(MEASURE.replace("PAGE", content), encoding="utf-8")
    document, complaints = browse(chromium, measure, tmp_path / "profile")
    found = dict(part.split("=") for part in re.findall(r"\w+=[\d.]+", re.sub(r"<[^>]*>", "", document)))
    assert complaints == ""
    assert (int(found["out"]), int(found["scripts"])) == (0, 0)
    assert float(found["smallest"]) >= 10 and int(found["height"]) > 400
