"""conf/pack.py: which packages an archive for workers holds."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
from checkouts import ROOT


def load(script: str) -> ModuleType:
    """A script of conf/ as a module."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / "conf" / script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_packing_takes_what_an_extra_brings(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*roots: str) -> set[str]:
        return {package.name.lower() for package in load("pack.py").distributions(list(roots))}

    plain, with_extra = names("hypothesis"), names("hypothesis[numpy]")
    assert "hypothesis" in plain and with_extra - plain == {"numpy"}
    assert names("hypothesis", "hypothesis[numpy]") == names("hypothesis[numpy]", "hypothesis") == with_extra
    for wrong, told in (
        ("absent[ctk]", "package absent is not in .venv: run .venv/bin/python -m pip install 'absent[ctk]', then pack"),
        ("a b", "'a b' names no package: give names as pip takes them, such as rjieba or 'cupy-cuda13x[ctk]'"),
    ):
        with pytest.raises(SystemExit, match=re.escape(f"w2v_spark: {told}")):
            names(wrong)
