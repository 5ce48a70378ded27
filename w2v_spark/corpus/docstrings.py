"""The demo corpus: the docstrings of the standard library and of the packages that w2v_spark needs, real technical
prose that needs no download, and the same whatever else is installed.
"""

from __future__ import annotations

import ast
import gc
import os
import re
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

_EXAMPLE = re.compile(r"^\s*(>>>|\.\.\. )")
_PACKAGES = ("numba", "numpy", "pandas", "pyarrow", "pyspark")
_DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
# the standard library of a Python may hold that Python's own packages
_SKIPPED = ("test", "tests", "site-packages", "dist-packages")
# a megabyte of source in one file is data, not prose
_LARGEST_SOURCE = 1 << 20


def python_sources() -> list[str]:
    """Every .py file of the standard library and of the packages that w2v_spark needs, but tests, in a fixed order."""
    found: list[str] = []
    places = dict.fromkeys(os.path.realpath(sysconfig.get_path(name)) for name in ("purelib", "platlib"))
    for root in (sysconfig.get_path("stdlib"), *(os.path.join(place, name) for place in places for name in _PACKAGES)):
        for folder, below, files in os.walk(root):
            below[:] = [name for name in below if name not in _SKIPPED]
            paths = (os.path.join(folder, name) for name in files if name.endswith(".py"))
            # a link may lead nowhere
            found += [path for path in paths if os.path.isfile(path) and os.path.getsize(path) <= _LARGEST_SOURCE]
    return sorted(found)


def write_docstrings(folder: str | Path, sources: Iterable[str]) -> int:
    """Write folder/docstrings.txt, one docstring of these files a line, none twice; returns its number of words."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    words = 0
    unfinished = folder / ".docstrings.txt"
    with open(unfinished, "w", encoding="utf-8") as out:
        for line in _all_docstrings(sources):
            if line not in seen:
                seen.add(line)
                words += line.count(" ") + 1
                out.write(line + "\n")
    unfinished.rename(folder / "docstrings.txt")
    return words


def _all_docstrings(sources: Iterable[str]) -> Iterator[str]:
    # a tree of syntax has no cycles, and looking for them among its nodes takes a fifth of the time
    with ProcessPoolExecutor(initializer=gc.disable) as pool:
        for lines in pool.map(file_docstrings, sources, chunksize=100):
            yield from lines


def file_docstrings(path: str) -> list[str]:
    """The docstrings of one source file, each as one line without its examples; none of a file that is not valid
    Python.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(Path(path).read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return []
    texts = (ast.get_docstring(node, clean=False) for node in _statements(tree) if isinstance(node, _DEFINITIONS))
    lines = (
        " ".join(" ".join(row for row in text.splitlines() if not _EXAMPLE.match(row)).split())
        for text in texts
        if text
    )
    return [line.encode("utf-8", "ignore").decode() for line in lines if line]


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The tree and its statements as ast.walk has them, without the expressions in them, which are most of its nodes
    and hold no docstrings.
    """
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        yield node
        nodes += [child for child in ast.iter_child_nodes(node) if isinstance(child, _STATEMENTS)]
