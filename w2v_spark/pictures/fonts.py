"""Fonts for the letters at hand: matplotlib's own, and for letters that it lacks installed ones, by their glyphs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from matplotlib import font_manager, ft2font

log = logging.getLogger(__name__)

DEFAULT = "DejaVu Sans"
# so many of the letters without a font are named in the log
_NAMED = 10


def families_for(texts: Iterable[str]) -> list[str]:
    """Font families that together have the letters of the texts, as far as installed ones do; a sentence in the log
    says which letters none has.
    """
    families, missing = [DEFAULT], {letter for text in texts for letter in text if not letter.isspace()}
    missing -= _letters(ft2font.FT2Font(font_manager.findfont(DEFAULT)))
    while missing:
        best, path = max(
            ((len(missing & _letters(font)), path) for path, font in _installed()), default=(0, ""), key=lambda f: f[0]
        )
        if not best:
            log.warning(
                "no installed font has %s: a box stands for each; install a font of that script (for Chinese, Japanese "
                "and Korean: Noto Sans CJK)",
                " ".join(sorted(missing)[:_NAMED]) + (" ..." if len(missing) > _NAMED else ""),
            )
            break
        font = ft2font.FT2Font(path)
        # matplotlib's own list of fonts may be older than the font
        font_manager.fontManager.addfont(path)
        families.append(font.family_name)
        missing -= _letters(font)
    return families


def _installed() -> Iterator[tuple[str, ft2font.FT2Font]]:
    """The fonts that can be drawn, upright ones of ordinary weight before bold and slanted ones."""
    fonts = []
    for path in sorted(font_manager.findSystemFonts()):
        try:
            font = ft2font.FT2Font(path)
        except RuntimeError:  # no font that FreeType reads
            continue
        # a font of coloured bitmaps, such as those of emoji, cannot be scaled
        if font.scalable:
            fonts.append((path, font))
    yield from sorted(fonts, key=lambda found: bool(found[1].style_flags))


def _letters(font: ft2font.FT2Font) -> set[str]:
    """The characters that a font has a glyph for."""
    return {chr(code) for code in font.get_charmap()}
