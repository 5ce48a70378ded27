"""What bench/peers.py reads and prints, without the peers; and how bench/job.py watches a process."""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path
from typing import Any

import job
import numpy as np
import pytest
from peers_report import Results, Run, markdown, picture, ratio_rows
from peers_text import LONGEST_LINE, cut_long, prepare

SETTING: dict[str, Any] = {
    **{"checksum": "ab", "words": 1_200_000, "lines": 9, "cut": 0, "vocabulary": 70, "known": 1_000_000},
    **{"epochs": 5, "threads": 2, "restrict_vocab": 30_000, "parameters": {"vector_size": 100}, "processor": "a CPU"},
}


def run(tool: str, epochs: int, whole: float, training: float, analogies: float | None) -> Run:
    scores = {"analogies": analogies, "pairs": None}
    return Run(tool, "1.0", "2026-01-02", epochs, whole, training, 512.0, 70, {"training": training}, scores, [])


RESULTS = Results(
    SETTING,
    [
        run("mllib", 1, 60.0, 50.0, 39.0),
        run("w2v_spark", 5, 25.0, 5.0, 40.0),
        run("w2v_spark", 5, 27.0, 5.0, 41.0),
        run("w2v_spark", 5, 35.0, 5.0, 45.0),
        run("gensim", 5, 100.0, 70.0, 42.0),
    ],
)


def test_ratios_stand_beside_their_bars() -> None:
    head, gensim, mllib = ratio_rows(RESULTS)
    assert head == ["w2v_spark against", "training", "bar", "whole job", "bar", "analogies, %: more by"]
    # the median of ours: 27 s, 41 %
    assert gensim == ["gensim", "14.0 x", ">= 12: met", "3.7 x", ">= 5: missed", "-1.0"]
    # four more epochs of 50 s each
    assert mllib == ["Spark MLlib (1 epoch)", "50.0 x", ">= 60: missed", "about 9.6 x", ">= 20: missed", "+2.0"]


def test_the_table_has_what_was_run() -> None:
    text = markdown(RESULTS)
    assert "| w2v_spark | 1.000 | 27.0 | 512 | 41.0 |" in text
    assert "| Spark MLlib (1 epoch) | 0.020 | 60.0 | 512 | 39.0 |" in text
    assert "its whole job is reckoned at 5" in text and "medians of up to 3 runs" in text
    assert "word pairs" not in text


def test_the_picture_has_a_bar_for_each_peer_and_figure() -> None:
    pytest.importorskip("matplotlib")
    panels = picture(RESULTS).axes
    assert [len(panel.patches) for panel in panels] == [3, 3, 3, 3]
    # the first peer of the table stands on top
    assert [bar.get_width() for bar in panels[0].patches] == pytest.approx([0.02, 1 / 14, 1.0])


def test_the_peers_get_the_words_that_our_tokeniser_finds(tmp_path: Path) -> None:
    first, second = "The sea, the SEA\n\n", "sea! l\u2019eau\n"
    (tmp_path / "a.txt").write_text(first, encoding="utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(second.encode()))
    text = prepare(job.input_files([str(tmp_path)]), tmp_path / "out", min_count=2)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "the sea the sea\nsea l'eau\n"
    assert text.checksum == hashlib.sha256((first + second).encode()).hexdigest()
    assert (text.words, text.lines, text.cut, text.vocabulary, text.known) == (6, 2, 0, 2, 5)


def test_long_documents_are_cut() -> None:
    assert cut_long(np.array([3, 0, 5])).tolist() == [3, 5]
    assert cut_long(np.array([LONGEST_LINE + 7, 2])).tolist() == [LONGEST_LINE, 7, 2]


def test_a_process_is_watched() -> None:
    code = (
        "import sys, time; held = b'x' * (200 << 20); print('one'); sys.stdout.flush(); time.sleep(1.5);"
        "sys.stdout.write('\\rtwo'); sys.stdout.flush(); time.sleep(1); sys.stdout.write('\\rthree\\nfour')"
    )
    done = job.run([sys.executable, "-c", code])
    came = {line: when for when, line in done.log}
    assert [line for _, line in done.log] == ["one", "two", "three", "four"]
    # a line counts from its first bytes on, though what ends it comes later
    assert came["two"] - came["one"] == pytest.approx(1.5, abs=0.4)
    assert came["three"] - came["two"] == pytest.approx(1.0, abs=0.4)
    if Path("/proc/self/smaps_rollup").exists():
        assert 200 < done.peak() < 300
        assert done.peak(until=-1.0) == 0


def test_a_command_that_fails_ends_with_its_last_words() -> None:
    with pytest.raises(SystemExit, match="(?s)went wrong\nerror: status 3 from: "):
        job.run([sys.executable, "-c", "print('went wrong'); raise SystemExit(3)"])
    with pytest.raises(SystemExit, match="error: /nowhere/to/be/found cannot be run: No such file or directory"):
        job.run(["/nowhere/to/be/found"])
