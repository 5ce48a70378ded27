"""Going on with an unfinished run: whether it is the same run, and how far it came."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain
from typing import Any

from w2v_spark import __version__, store, workdir
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.params import Params, spelt
from w2v_spark.place import Place
from w2v_spark.spark.run import Run
from w2v_spark.workdir.pointer import NO_WAY_ON, Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

# what rows of metrics hold in work/metrics beside the columns of OUT/metrics
_ONLY_IN_WORK = {"kind", "loss_sum", "loss_pairs"}


@dataclass(frozen=True)
class Progress:
    """How far a run has come: the round that counts, the one before it, and the metrics of all rounds so far."""

    pointer: Pointer
    before: Pointer | None
    metrics: list[dict[str, Any]]


def identity(
    params: Params, source: str | None, vocab: str | None, start_from: str | None, freeze: str | None
) -> dict[str, Any]:
    """What tells a run from another, before anything is resolved: plain values for run.json."""
    run = {"w2v_spark": __version__, "input": source, "vocab": vocab, "start_from": start_from, "freeze": freeze}
    return {**run, **params.to_dict()}


@dataclass(frozen=True)
class Begun:
    """What the rounds of an unfinished run are trained with: resolved parameters, vocabulary, and the partitions that
    merge, in which its models lie.
    """

    params: Params
    vocabulary: Vocabulary
    merge_tasks: int


def unfinished(run: Run, given: dict[str, Any]) -> Begun | None:
    """What the rounds that this output holds were begun with, None where it holds none to go on with. An OutputError
    names what differs from how they were started.
    """
    if run.training is None:
        return None
    started = run.training["given"]
    if started["input"] is None and given["input"] is None:
        log.warning("a DataFrame cannot be told from another: the unfinished run in %s begins anew", run.output.uri)
        run.training = None
        return None
    differing = [name for name in given if given[name] != started.get(name)]
    if differing:
        told = ", ".join(_difference(name, started.get(name), given[name]) for name in differing)
        raise OutputError(
            f"output {run.output.uri} holds an unfinished run that was started otherwise ({told}): start it as it was "
            "to go on, give --overwrite to begin anew, or another directory"
        )
    vocabulary = Vocabulary.from_dict(run.place("vocabulary"), run.training["vocabulary"])
    return Begun(Params.from_dict(run.training["params"]), vocabulary, run.training["merge_tasks"])


def _difference(name: str, before: object, now: object) -> str:
    if name == "input":
        return "its input was another, or has changed since"
    return f"{name} was {spelt(name, before)}, now {spelt(name, now)}"


def read_progress(run: Run) -> Progress:
    """How far the rounds came, by the pointer; where files of its round are gone, by the round before it."""
    if not run.place("corpus").exists(workdir.CORPUS_INDEX):
        raise FormatError(f"{run.place('corpus').uri}/{workdir.CORPUS_INDEX} is missing: {NO_WAY_ON}")
    pointers, problem = Pointer.read(run.work), ""
    for i, pointer in enumerate(pointers):
        lacking = store.lacking(run.work.child(pointer.directory), chain.from_iterable(pointer.files.values()))
        problem = problem or lacking
        if not lacking:
            if i:
                log.warning("%s: going back to round %d", problem, pointer.round)
            before = pointers[i + 1] if i + 1 < len(pointers) else None
            return Progress(pointer, before, read_metrics(run.work, pointer.round))
    raise FormatError(f"{problem}: {NO_WAY_ON}")


def write_metrics(work: Place, round: int, rows: list[dict[str, Any]]) -> None:
    """Note what a round measured, before the pointer moves to it. A ValueError where rows do not fit OUT/metrics, in
    which a name without a column would be lost, and a column without a value null.
    """
    for row in rows:
        if differing := row.keys() ^ {*store.METRICS_SCHEMA.names, *_ONLY_IN_WORK}:
            raise ValueError(f"a row of metrics and their schema differ in {', '.join(sorted(differing))}")
    place = work.child(workdir.METRICS)
    place.make()
    place.write_json(_metrics_file(round), {"rows": rows})


def read_metrics(work: Place, last_round: int) -> list[dict[str, Any]]:
    """What the rounds up to this one measured."""
    place = work.child(workdir.METRICS)
    try:
        return [row for number in range(1, last_round + 1) for row in place.read_json(_metrics_file(number))["rows"]]
    except FileNotFoundError as e:
        raise FormatError(f"what the rounds measured is missing in {place.uri}: {NO_WAY_ON}") from e


def _metrics_file(round: int) -> str:
    return f"r{round:05d}.json"
