"""What a newcomer types first: ./spark-submit.sh without arguments."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from w2v_spark import Vectors
from w2v_spark.corpus.docstrings import file_docstrings, write_docstrings


@pytest.mark.cluster
def test_the_demo_ends_with_sensible_neighbours(tmp_path: Path) -> None:
    if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
        pytest.skip("needs the environment that tests/run makes")
    done = subprocess.run(
        [str(ROOT / "spark-submit.sh")],
        cwd=tmp_path,
        env=os.environ.copy(),
        text=True,
        capture_output=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "words in out/demo-corpus" in done.stdout and "Ask for more" in done.stdout
    vectors = Vectors.open(str(tmp_path / "out" / "demo"))
    assert len(vectors) > 5_000
    for command in re.findall(
        r"^\$ \.venv/bin/python (jobs/query.py .*)$", (ROOT / "README.md").read_text(), re.MULTILINE
    ):
        asked = subprocess.run(
            [sys.executable, *shlex.split(f"{ROOT}/{command}")],
            cwd=tmp_path,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        )
        assert asked.stdout
    for word, expected in (("rows", "columns"), ("str", "string"), ("true", "false"), ("maximum", "minimum")):
        assert expected in [w for w, _ in vectors.most_similar(word, topn=15)], word


def test_a_demo_that_cannot_write_says_so(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder")
    command = [sys.executable, str(ROOT / "jobs" / "demo.py")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environ, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (2, "error: [Errno 20] Not a directory: 'out/demo-corpus'\n")


def test_docstrings_lose_examples_and_doubles(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        '"""A module.\n\nIt has two lines."""\n\n'
        'def f():\n    """Adds.\n\n    >>> f()\n    ... more\n    3\n    """\n\n'
        'class C:\n    def g(self):\n        """Adds. 3"""\n'
    )
    (tmp_path / "broken.py").write_text("def (")
    assert file_docstrings(str(source)) == ["A module. It has two lines.", "Adds. 3", "Adds. 3"]
    assert file_docstrings(str(tmp_path / "broken.py")) == []
    assert write_docstrings(tmp_path / "out", [str(source), str(tmp_path / "broken.py")]) == 8
    assert (tmp_path / "out" / "docstrings.txt").read_text() == "A module. It has two lines.\nAdds. 3\n"
