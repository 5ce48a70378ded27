"""Names that lead somewhere: those of other tools to the parameter of ours, and the package's own to what it offers."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import w2v_spark
from w2v_spark import Word2Vec, cli, params
from w2v_spark.errors import ParamError
from w2v_spark.ml.params import camel_case
from w2v_spark.names import FOREIGN, did_you_mean, parameter_hint

VALUES = {
    "cbow": ": cbow or skip_gram",
    "hs": ": hierarchical_softmax or negative_sampling",
    "sg": ": skip_gram or cbow",
}


@pytest.mark.parametrize(("theirs", "ours"), FOREIGN.items())
def test_a_foreign_name_is_told_what_it_is_called_here(
    theirs: str, ours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = VALUES.get(theirs, "")
    with pytest.raises(ParamError) as raised:
        params.Params.from_dict({theirs: 1})
    assert str(raised.value) == f"unknown parameter {theirs!r} (here it is {ours!r}{values})"
    (tmp_path / "train.toml").write_text(f"{theirs} = 1\n")
    with pytest.raises(
        ParamError, match=rf"unknown parameter '{theirs}' in .*train.toml \(here it is '{ours}'{values}\)$"
    ):
        params.read_toml(tmp_path / "train.toml")
    with pytest.raises(
        ParamError, match=rf"^unknown parameter '{theirs}' \(here it is '{camel_case(ours)}'{values}\)$"
    ):
        Word2Vec(**{theirs: 1})
    option, told = params.option_name(theirs), params.option_name(ours)
    for given in ([option, "1"], [f"{option}=1"], [option]):
        for main, command in ((cli.train_main, []), (cli.main, ["train"])):
            with pytest.raises(SystemExit, match="2"):
                main([*command, "--input", "x", "--output", str(tmp_path / "out"), *given])
            shown = capsys.readouterr().err
            assert shown.endswith(f": error: unrecognized option {option} (here it is '{told}'{values})\n")


def test_what_is_not_known_at_all_is_told_what_is() -> None:
    known = ", ".join(params.specs())
    with pytest.raises(ParamError, match=f"^unknown parameter 'zzzz'; known are: {known}$"):
        params.Params.from_dict({"zzzz": 1})
    with pytest.raises(ParamError, match=r"'skipgram': must be one of skip_gram, cbow \(did you mean 'skip_gram'\?\)$"):
        params.Params(architecture="skipgram")


def test_foreign_names_are_none_of_ours_and_lead_to_ours() -> None:
    assert not set(FOREIGN) & set(params.specs())
    assert set(FOREIGN.values()) <= set(params.specs())


def test_other_names_lead_to_near_ones() -> None:
    assert parameter_hint("vektor_size", params.specs()) == " (did you mean 'vector_size'?)"
    assert parameter_hint("nothing_like_it", params.specs()) == ""
    # a column may be called as it likes
    assert did_you_mean("epochs", ["epoch_s", "max_iter"]) == " (did you mean 'epoch_s'?)"
    assert parameter_hint("numPartitions", params.specs()) == " (here it is num_replicas)"
    subwords = " (words are trained whole: there are no vectors of subwords)"
    assert parameter_hint("--minn", map(params.option_name, params.specs()), params.option_name) == subwords
    # where there is no such parameter, nothing is said of it
    assert parameter_hint("size", ["query", "top"]) == parameter_hint("sentences", ["query", "top"]) == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--vector_size", "5"], "unrecognized option --vector_size (did you mean '--vector-size'?)"),
        (["-size", "5"], "unrecognized option -size (here it is '--vector-size')"),
        (["--zzzz", "5"], "unrecognized arguments: --zzzz 5"),
        (
            ["--lowercase", "true"],
            "unrecognized arguments: true (a switch takes no value: --lowercase or --no-lowercase)",
        ),
        (
            ["--lowercase", "True"],
            "unrecognized arguments: True (a switch takes no value: --lowercase or --no-lowercase)",
        ),
        (["--zzzz", "true"], "unrecognized arguments: --zzzz true"),
        (["--no-lowercas"], "unrecognized option --no-lowercas (did you mean '--no-lowercase'?)"),
        (["--inputs", "x"], "unrecognized option --inputs (did you mean '--input'?)"),
        (["--evaluate-evry", "3"], "unrecognized option --evaluate-evry (did you mean '--evaluate-every'?)"),
        # no abbreviation: it would be --cbow-mean
        (["--cbow", "1", "--iter", "3"], "unrecognized option --cbow (here it is '--architecture': cbow or skip_gram)"),
        (
            ["--corpus-file", "x"],
            "unrecognized option --corpus-file (the text is the first argument of train, --input)",
        ),
        (
            ["--master=yarn"],
            "--master is an option of spark-submit, which come before the job: ./spark-submit.sh --master ... "
            "jobs/train.py ...",
        ),
    ],
)
def test_unknown_options(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.train_main(["--input", "x", "--output", "y", *arguments])
    assert capsys.readouterr().err.endswith(f": error: {told}\n")


def test_the_package_shows_what_it_offers() -> None:
    assert set(w2v_spark.__all__) <= set(dir(w2v_spark))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["query", "similar", "king", "--to", "5"], "unrecognized option --to (did you mean '--top'?)"),
        (["query", "similar", "king", "--topn", "5"], "unrecognized option --topn (did you mean '--top'?)"),
        (["query", "similar", "king", "--word", "queen"], "unrecognized arguments: --word queen"),
        (["plot", "rounds", "--pictur", "x"], "unrecognized arguments: --pictur x"),
        (
            ["convert", "--input", "x", "--output", "y", "--form", "text"],
            "unrecognized option --form (did you mean '--from'?)",
        ),
        (["plot", "rounds", "--sav", "a.png"], "unrecognized option --sav (did you mean '--save'?)"),
    ],
)
def test_options_are_written_out(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(arguments)
    assert capsys.readouterr().err.endswith(f": error: {told}\n")


def test_only_training_has_training_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["query", "--vectors", "x", "similar", "king", "--epochs", "5"])
    assert capsys.readouterr().err.endswith(": error: unrecognized arguments: --epochs 5\n")


def test_the_table_of_gensims_names_is_true() -> None:
    gensim = pytest.importorskip("gensim")
    theirs = {n: p.default for n, p in inspect.signature(gensim.models.Word2Vec).parameters.items()}
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    section = page.partition("\n## From gensim\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| `(\w+)` \| (\S+) \|$", section, re.MULTILINE)
    assert {name for name, _, _, _ in rows} == {n for n in theirs if n in FOREIGN or n in params.specs()}
    assert [name for name in theirs if f"`{name}`" not in section] == []
    for name, default, ours, default_here in rows:
        assert ours == FOREIGN.get(name, name)
        assert default == _shown(theirs[name]), name
        assert default_here == params.spelt(ours, params.default(ours)), ours


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
