"""conf/train.toml shows every parameter at its default."""

from __future__ import annotations

import json
import re
import sys
import tomllib

from conftest import ROOT

from w2v_spark import params


def train_toml() -> str:
    """conf/train.toml, made from the dataclass; `.venv/bin/python tests/test_train_toml.py` prints it."""
    lines = [
        "# Parameters of training, for `jobs/train.py --config conf/train.toml`; each is shown at its default.",
        "# Remove the # in front of one to change it. An option on the command line goes before this file.",
    ]
    for name, spec in params.specs().items():
        value = params.default(name)
        shown = json.dumps(spec.unset if value is None else value)
        lines += ["", f"# {spec.help}; {spec.allowed()}", f"# {name} = {shown}"]
    return "\n".join(lines) + "\n"


def test_train_toml_is_the_dataclass() -> None:
    text = (ROOT / "conf" / "train.toml").read_text()
    assert text == train_toml(), "make it anew: .venv/bin/python tests/test_train_toml.py > conf/train.toml"
    all_set = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    values = tomllib.loads(all_set)
    assert list(values) == list(params.specs())
    assert params.Params.from_dict(values) == params.Params()
    assert params.read_toml(ROOT / "conf" / "train.toml") == {}


if __name__ == "__main__":
    sys.stdout.write(train_toml())
