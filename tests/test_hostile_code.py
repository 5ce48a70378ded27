"""Nothing in the package runs code that it was handed: no pickle, no eval, no shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from conftest import ROOT

FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "yaml"}
FORBIDDEN_METHODS = {("os", "system"), ("os", "popen")}
FORBIDDEN_KEYWORDS = {"shell", "allow_pickle"}


def offences(tree: ast.AST) -> Iterator[str]:
    """What in a syntax tree could run code that is not the package's own."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in FORBIDDEN_CALLS:
                yield f"calls {name}"
            case ast.Attribute(value=ast.Name(id=module), attr=name) if (module, name) in FORBIDDEN_METHODS:
                yield f"calls {module}.{name}"
            case ast.Attribute(value=ast.Name(id="pickle"), attr=name):
                yield f"uses pickle.{name}"
            case ast.Import(names=names):
                yield from (f"imports {n.name}" for n in names if n.name.partition(".")[0] in FORBIDDEN_MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in FORBIDDEN_MODULES:
                yield f"imports from {module}"
            case ast.keyword(arg=str(name), value=value) if name in FORBIDDEN_KEYWORDS:
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"gives {name}"


@pytest.mark.parametrize("folder", ["w2v_spark", "jobs", "conf"])
def test_no_code_is_run_that_was_handed_over(folder: str) -> None:
    found = {
        (str(path.relative_to(ROOT)), offence)
        for path in (ROOT / folder).rglob("*.py")
        for offence in offences(ast.parse(path.read_bytes()))
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    [
        "eval('1')",
        "import pickle",
        "from pickle import loads",
        "pickle.loads(b'')",
        "import yaml.loader",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=shell)",
        "os.system('ls')",
    ],
)
def test_offences_are_found(code: str) -> None:
    assert list(offences(ast.parse(code)))
