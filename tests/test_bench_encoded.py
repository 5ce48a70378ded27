"""The encoded text of bench/: drawn by Zipf's law, packed, cut; and the checks of bench/gpu.py, as far as they need no
GPU.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import gpu
import gpu_checks
import gpu_parity
import numpy as np
import pytest
from encoded import EncodedText


@pytest.fixture(scope="module")
def text() -> EncodedText:
    return EncodedText.of_zipf(100_010, 300, shift=1)


def test_words_are_drawn_by_zipf(text: EncodedText) -> None:
    ranks = np.arange(1, 301)
    np.testing.assert_array_equal(text.counts, np.ceil(5 * 300 / ranks))
    found, expected = np.bincount(text.ids, minlength=300), text.counts / text.counts.sum() * 100_010
    assert np.abs(found - expected).max() < 5 * np.sqrt(expected.max())
    assert np.abs(found[:20] / expected[:20] - 1).max() < 0.1
    assert np.diff(text.offsets).tolist() == [20] * 5_000 + [10] and len(text.ids) == text.offsets[-1] == 100_010
    assert len(text.words) == 300 and text.words[299] == "w299"


def test_a_packed_text_is_read_as_it_was(text: EncodedText, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"^error: {tmp_path} holds no packed corpus: make one with bench/gpu.py pack"):
        EncodedText.unpack(tmp_path)
    # one id needs the second plane's second byte
    large = EncodedText(np.append(text.ids, 70_000), np.append(text.offsets, 100_011), text.words, text.counts)
    large.pack(tmp_path)
    found = EncodedText.unpack(tmp_path)
    assert list(found.words) == list(text.words)
    for name in ("ids", "offsets", "counts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(large, name))


def test_parts_of_a_text(text: EncodedText) -> None:
    assert [len(offsets) - 1 for _, offsets in text.chunks(40_000)] == [2_000, 2_000, 1_001]
    assert len(text.head(50).offsets) == 3 and text.head(50).counts.sum() >= 40
    few = text.most_frequent(10)
    first = text.ids[:20]
    assert few.ids[: few.offsets[1]].tolist() == [id for id in first if id < 10]
    assert len(few.words) == len(few.counts) == 10 and len(few.offsets) == len(text.offsets)


def test_every_check_of_a_gpu_is_there() -> None:
    assert {check.name for check in gpu.CHECKS} == gpu_checks.CHECKS.keys() | gpu_parity.CHECKS.keys()
    assert not gpu_checks.CHECKS.keys() & gpu_parity.CHECKS.keys()


def test_a_folder_is_one_word_of_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, sanitizer = Path("a folder; exit 1"), next(check for check in gpu.CHECKS if check.name == "sanitizer")
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/{name}")
    commands = gpu.commands(sanitizer, folder, short=False)
    own = [sys.executable, gpu.__file__, "check", "sanitizer", "--data", str(folder), "--short"]
    assert [command[0] for command in commands] == ["/opt/compute-sanitizer"] * 3
    assert [command[-len(own) :] for command in commands] == [own] * 3
    assert [command[2] for command in commands] == list(gpu.TOOLS)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert gpu.run_check(sanitizer, folder, short=False)[:2] == (
        True,
        "compute-sanitizer is not on the PATH: not run",
    )


def test_a_check_ends_by_its_first_command_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["print('one')", "import sys; sys.exit('two')", "print('three')"]
    monkeypatch.setattr(gpu, "commands", lambda *_: [[sys.executable, "-c", line] for line in lines])
    assert gpu.run_check(gpu.Check("any", "", 60), Path(), short=True)[:2] == (False, "one\ntwo")
    monkeypatch.setattr(gpu, "commands", lambda *_: [[sys.executable, "-c", "import time; time.sleep(60)"]])
    assert gpu.run_check(gpu.Check("any", "", 1), Path(), short=True)[:2] == (False, "stopped after 1 s")
