"""The texts and the table of bench/counting.py."""

from __future__ import annotations

from pathlib import Path

import peers_text
import pytest
from counting import Turn, report, write_share


@pytest.fixture
def text(tmp_path: Path) -> peers_text.Text:
    """Four lines of ten words."""
    (tmp_path / "given.txt").write_text("a b c d\ne f g\nh i\nj\n")
    return peers_text.prepare([tmp_path / "given.txt"], tmp_path / "text.txt", min_count=1)


@pytest.mark.parametrize(
    ("share", "lines"),
    [
        (0.25, ["a b c d"]),
        (1, ["a b c d", "e f g", "h i", "j"]),
        (1.5, ["a b c d", "e f g", "h i", "j", "b c d a", "f g e"]),
        (2, ["a b c d", "e f g", "h i", "j", "b c d a", "f g e", "i h", "j"]),
    ],
)
def test_a_share_is_whole_lines_and_a_multiple_turns_their_words(
    text: peers_text.Text, tmp_path: Path, share: float, lines: list[str]
) -> None:
    words = write_share(text, share, tmp_path / "share.txt")
    assert (tmp_path / "share.txt").read_text().splitlines() == lines
    assert words == sum(len(line.split()) for line in lines)


def test_the_table_has_medians_and_the_ratio_of_each_turn() -> None:
    turns = [Turn(1.0, 2.0, 4.0, 3.0), Turn(1.0, 3.0, 4.0, 2.0), Turn(1.0, 4.0, 4.0, 1.0), Turn(4.0, 5.0, 5.0, 10.0)]
    assert report(turns).splitlines()[2:] == [
        "| 1 | 3 | 4 | 2 | 3.50 | 2.00 3.50 8.00 |",
        "| 4 | 5 | 5 | 10 | 1.00 | 1.00 |",
    ]
