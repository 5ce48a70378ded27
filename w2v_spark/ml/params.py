"""The Spark Params of Word2Vec, made from `w2v_spark.params`, where names, ranges, help and defaults are written."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pyspark.ml.param import Param, Params
from pyspark.ml.param.shared import HasInputCol, HasMaxIter, HasOutputCol, HasSeed, HasStepSize

from w2v_spark.errors import ParamError
from w2v_spark.names import hint_or_known
from w2v_spark.param_spec import Spec, checked
from w2v_spark.params import NONE, default, specs

Stage = TypeVar("Stage", bound=type)

# they make words of text, which a column of words needs no more; phrases would have to be joined by transform, too; and
# getVectors is a method of the model
_NOT_HERE = ("tokenizer", "lowercase", "phrases", "phrase_min_count", "phrase_threshold", "vectors")

# where pyspark's Word2Vec has another default, trains on every word (which is what sample 0 means), or allows more
_AS_IN_PYSPARK: dict[str, dict[str, Any]] = {
    "step_size": {"default": 0.025},
    "max_iter": {"default": 1},
    "sample": {"default": 0.0},
    "min_count": {"low": 0},
    "seed": {"low": -(2**63)},
}


@dataclass(frozen=True)
class Setting:
    """A Param to be: its name in `w2v_spark.train` (None where that has none), what it may be, and its default."""

    trains: str | None
    spec: Spec
    default: Any


@functools.cache
def settings() -> dict[str, Setting]:
    """Every Param that is generated, by its name in Spark."""
    found = {}
    for name, spec in specs().items():
        if name not in _NOT_HERE:
            here = _AS_IN_PYSPARK.get(name, {})
            limits = dataclasses.replace(spec, low=here.get("low", spec.low))
            found[camel_case(name)] = Setting(name, limits, here.get("default", default(name)))
    replicas = dataclasses.replace(specs()["num_replicas"], help="pyspark's name for numReplicas")
    directory = Spec(
        str,
        "directory that driver and executors share; each fit makes its own in it. none: the checkpoint directory or, "
        "with a local master, one for temporary files",
        unset=NONE,
    )
    return {**found, "numPartitions": Setting(None, replicas, None), "workDir": Setting(None, directory, None)}


def camel_case(name: str) -> str:
    """`vector_size` as Spark spells it: `vectorSize`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def method_name(verb: str, param: str) -> str:
    """`setVectorSize` of `set` and `vectorSize`."""
    return verb + param[0].upper() + param[1:]


def with_params(stage: Stage) -> Stage:
    """Give a class the Params and their getters."""
    for name, setting in settings().items():
        help = f"{setting.spec.help}; {setting.spec.allowed()}"
        convert: Any = functools.partial(checked, name, setting.spec)
        setattr(stage, name, Param(Params._dummy(), name, help, typeConverter=convert))
        _add_method(stage, method_name("get", name), _getter(name), f"The value of {name}: {help}.")
    return stage


def with_setters(*more: str) -> Callable[[Stage], Stage]:
    """Give a class setters of its Params and of those named, and a constructor that shows them."""

    def decorate(stage: Stage) -> Stage:
        for name in (*settings(), *more):
            _add_method(stage, method_name("set", name), _setter(name), f"Set {name}; None takes the value back.")
        defaults = dict.fromkeys(more) | {name: setting.default for name, setting in settings().items()}
        shown = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        shown += [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=v) for n, v in defaults.items()]
        signature = inspect.Signature(shown)
        for method in (stage.__init__, stage.setParams):  # type: ignore[attr-defined, misc]
            method.__signature__ = signature
        return stage

    return decorate


def _add_method(stage: type, name: str, method: Any, doc: str) -> None:
    method.__name__, method.__qualname__, method.__doc__ = name, f"{stage.__qualname__}.{name}", doc
    setattr(stage, name, method)


def _getter(name: str) -> Callable[[Params], Any]:
    return lambda stage: stage.getOrDefault(name)


def _setter(name: str) -> Callable[[Any, Any], Any]:
    return lambda stage, value: stage._set(**{name: value})


@with_params
class Word2VecParams(HasInputCol, HasOutputCol, HasStepSize, HasMaxIter, HasSeed):
    """The Params that Word2Vec and its model share; those that pyspark's classes bring are generated anew."""

    def __init__(self) -> None:
        super().__init__()
        self._setDefault(**{name: setting.default for name, setting in settings().items()})

    if TYPE_CHECKING:  # the generated methods, which a type checker cannot see

        def __getattr__(self, name: str) -> Any: ...

    def _set(self, **values: Any) -> Self:
        """Set Params by name; None takes a value back. An unknown name or a value out of range is a ParamError."""
        for name, value in values.items():
            if not self.hasParam(name):
                known = [param.name for param in self.params]
                raise ParamError(f"unknown parameter {name!r}{hint_or_known(name, known, camel_case)}")
            if value is None:
                self.clear(self.getParam(name))
            else:
                super()._set(**{name: value})
        return self

    def _training_params(self) -> dict[str, Any]:
        """The parameters of `w2v_spark.train`, by their names there."""
        values = {s.trains: self.getOrDefault(name) for name, s in settings().items() if s.trains is not None}
        # pyspark's 0 keeps every word, as 1 does; and its seeds may be negative
        values["min_count"], values["seed"] = max(1, values["min_count"]), values["seed"] % 2**63
        replicas, partitions = values["num_replicas"], self.getOrDefault("numPartitions")
        if None not in (replicas, partitions) and replicas != partitions:
            raise ParamError(
                f"numReplicas is {replicas} and numPartitions {partitions}: they are two names of one thing; set one"
            )
        return {**values, "num_replicas": partitions if replicas is None else replicas, "lowercase": False}
