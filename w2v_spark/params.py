"""The parameters of training: the only place where a default, a range and a help text are written.

The command line, the TOML file, the Spark Params and the README's table are made from this dataclass. A parameter has
one name: `vector_size` in Python and TOML, `--vector-size` on the command line, `vectorSize` in Spark.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from w2v_spark.errors import ParamError, one_line
from w2v_spark.names import hint_or_known
from w2v_spark.param_spec import Spec, checked, shown

AUTO = "auto"
NONE = "none"
_LONGEST_TOML = 1 << 20
_MOST_ROUNDS = 100_000  # their schedule lies in the driver's memory


def _param(default: Any, help: str, kind: type | None = None, **limits: Any) -> Any:
    return field(default=default, metadata={"spec": Spec(kind or type(default), help, **limits)})


@dataclass(frozen=True, kw_only=True)
class Params:
    """How to train. Values are checked on construction; `None` means auto (or no limit) and is resolved by the run."""

    architecture: str = _param(
        "skip_gram",
        "skip_gram: each word around a centre predicts it; cbow: they predict it together",
        choices=("skip_gram", "cbow"),
    )
    loss: str = _param(
        "negative_sampling",
        "how a word is predicted: against negatives, down a Huffman tree, or (up to 32,768 words) against all words",
        choices=("negative_sampling", "hierarchical_softmax", "softmax"),
    )
    cbow_mean: bool = _param(True, "cbow takes the mean of the vectors around a centre, else their sum")
    vector_size: int = _param(100, "length of a word's vector", low=1, high=1024)
    window_size: int = _param(5, "most words between a centre and its context, on each side", low=1, high=20)
    min_count: int = _param(5, "words seen less often are left out", low=1)
    max_vocab: int | None = _param(None, "keep at most so many words, the most frequent", int, low=1, unset=NONE)
    negative: int = _param(5, "negatives for each pair of centre and context", low=1, high=32)
    noise_exponent: float = _param(0.75, "negatives are drawn by count to this power", low=-2.0, high=2.0)
    exclude_window: bool = _param(False, "words that a word is seen with are none of its negatives")
    sample: float = _param(
        1e-4, "subsampling threshold of frequent words, as a share of all words; 0 keeps all", low=0.0, high=1.0
    )
    step_size: float = _param(0.05, "learning rate at the start, as one replica would use it", low=1e-6, high=1.0)
    min_step_size: float = _param(1e-4, "learning rate at the end of the linear decay", low=0.0, high=1.0)
    max_iter: int = _param(5, "epochs: passes over the corpus", low=1, high=10_000)
    seed: int = _param(1, "seed of every random number", low=0, high=2**63 - 1)
    max_sentence_length: int = _param(
        1000, "longer sentences are split into pieces of so many words", low=2, high=1_000_000
    )
    num_replicas: int | None = _param(
        None, "replicas trained side by side; auto: one for each executor", int, low=1, high=1024, unset=AUTO
    )
    threads_per_replica: int | None = _param(
        None,
        "threads of a replica; auto: the cores of its executor, with dynamic allocation spark.task.cpus",
        int,
        low=1,
        high=256,
        unset=AUTO,
    )
    rounds_per_epoch: int | None = _param(
        None, "merges in an epoch; auto: from the number of replicas and of words", int, low=1, high=10_000, unset=AUTO
    )
    exchange: str = _param(
        "storage",
        "how replicas merge: through storage after every round, or directly with each other, several times in a round "
        "(all replicas must run at once); auto: directly where Spark can do that",
        choices=("storage", "direct", "auto"),
    )
    device: str = _param(
        "auto",
        "what trains a replica; auto: a GPU where Spark gives one to each replica, else the CPU",
        choices=("auto", "cpu", "cuda"),
    )
    merge_rule: str = _param(
        "sequential",
        "how the replicas' changes become one; sequential: as if one had trained their shares one after another",
        choices=("sequential", "adasum", "mean", "mean_touched", "count_weighted"),
    )
    tokenizer: str = _param(
        "words",
        "what makes words of the text; a function of your own takes a document and returns its words",
        choices=("words", "whitespace", "chinese"),
        form=("module:function", r"[\w.]+:\w+"),
    )
    lowercase: bool = _param(True, "lower-case the text before it is tokenised")
    phrases: int = _param(0, "passes that join frequent pairs of words by _; 0 joins none", low=0, high=10)
    phrase_min_count: int = _param(5, "pairs seen so often or less are no phrase", low=1)
    phrase_threshold: float = _param(10.0, "pairs whose score exceeds it are phrases; higher gives fewer", low=1e-6)
    vectors: str = _param(
        "input",
        "what is published: the vectors of words as centres (input), those that predict them (output), or their mean",
        choices=("input", "output", "mean"),
    )

    def __post_init__(self) -> None:
        for name, spec in specs().items():
            object.__setattr__(self, name, checked(name, spec, getattr(self, name)))
        if self.min_step_size > self.step_size:
            raise ParamError(
                f"parameter min_step_size given invalid value {self.min_step_size:g}: must be at most step_size "
                f"({self.step_size:g})"
            )
        if (rounds := self.max_iter * self.rounds_of_an_epoch) > _MOST_ROUNDS:
            raise ParamError(
                f"parameter rounds_per_epoch given invalid value {self.rounds_per_epoch}: with max_iter "
                f"{self.max_iter} that makes {rounds:,} rounds, and a run may have {_MOST_ROUNDS:,}"
            )
        if self.vectors != "input" and self.loss == "hierarchical_softmax":
            raise ParamError(
                f"parameter vectors given invalid value {self.vectors!r}: must be input with loss "
                "hierarchical_softmax, whose output vectors are those of the tree's inner nodes and of no word"
            )
        if self.merge_rule == "count_weighted" and self.loss == "hierarchical_softmax":
            raise ParamError(
                f"parameter merge_rule given invalid value {self.merge_rule!r}: must be another with loss "
                "hierarchical_softmax, as it weighs by counts of words, and the tree's inner nodes are none"
            )

    @property
    def replicas(self) -> int:
        """`num_replicas`; auto, not resolved yet, counts as one."""
        return self.num_replicas or 1

    @property
    def threads(self) -> int:
        """`threads_per_replica`; auto, not resolved yet, counts as one."""
        return self.threads_per_replica or 1

    @property
    def rounds_of_an_epoch(self) -> int:
        """`rounds_per_epoch`; auto, not resolved yet, counts as one."""
        return self.rounds_per_epoch or 1

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str = "") -> Params:
        """Parameters from plain values; an unknown key is an error that names the one that may be meant."""
        _check_names(values, source)
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> Params:
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)


class ParamValues(TypedDict, total=False):
    """The parameters as keyword arguments, for type checkers and editors."""

    architecture: str
    loss: str
    cbow_mean: bool
    vector_size: int
    window_size: int
    min_count: int
    max_vocab: int | None
    negative: int
    noise_exponent: float
    exclude_window: bool
    sample: float
    step_size: float
    min_step_size: float
    max_iter: int
    seed: int
    max_sentence_length: int
    num_replicas: int | None
    threads_per_replica: int | None
    rounds_per_epoch: int | None
    exchange: str
    device: str
    merge_rule: str
    tokenizer: str
    lowercase: bool
    phrases: int
    phrase_min_count: int
    phrase_threshold: float
    vectors: str


def specs() -> dict[str, Spec]:
    """The specification of every parameter, by name, in the order of the table."""
    return {f.name: f.metadata["spec"] for f in dataclasses.fields(Params)}


def default(name: str) -> Any:
    """The default value of a parameter."""
    return next(f.default for f in dataclasses.fields(Params) if f.name == name)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The parameters set in a TOML file: top-level keys, named as here. Each is checked by itself, as options may yet
    change what stands beside it.
    """
    try:
        with open(path, "rb") as stream:
            text = stream.read(_LONGEST_TOML + 1)
    except (OSError, ValueError) as e:
        raise ParamError(f"cannot read the configuration {path}: {getattr(e, 'strerror', None) or e}") from e
    if len(text) > _LONGEST_TOML:
        raise ParamError(
            f"the configuration {path} is no list of parameters: it is longer than {_LONGEST_TOML:,} bytes"
        )
    try:
        values = tomllib.loads(text.decode("utf-8-sig"))
    except (ValueError, RecursionError) as e:
        raise ParamError(f"the configuration {path} is not valid TOML: {one_line(e)[:300]}") from e
    _check_names(values, str(path))
    for name, value in values.items():
        checked(name, specs()[name], value)
    return values


def _check_names(values: Mapping[str, Any], source: str) -> None:
    """Refuse a name that no parameter has."""
    known = specs()
    for name in values:
        if name not in known:
            where = f" in {source}" if source else ""
            raise ParamError(f"unknown parameter {shown(name)}{where}{hint_or_known(name, known)}")


def option_name(name: str) -> str:
    """`vector_size` as the command line spells it: `--vector-size`."""
    return "--" + name.replace("_", "-")


def spelt(name: str, value: object) -> str:
    """A parameter's value as the command line spells it: auto or none where it is unset, true, 0.0001."""
    if value is None:
        spec = specs().get(name)
        return (spec and spec.unset) or NONE
    if isinstance(value, bool):
        return str(value).lower()
    # in short where that is the same number
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
