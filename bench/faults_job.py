"""A job that the drill disturbs: how it is started, what its log says, and what is wrong with what it left."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import corpus
import job
import numpy as np
from phases import Phases, event_log
from victims import MARK, marked_processes

from w2v_spark import store
from w2v_spark.params import ParamValues, option_name
from w2v_spark.vectors.load import read_model
from w2v_spark.vectors.vectors import Vectors

_START = "---- start of a job\n"
# threads of a replica race: how far apart two undisturbed runs may be
_NORMS_APART, _SCORES_APART = 0.05, 0.05


@dataclass(frozen=True)
class Setting:
    """How the jobs of a drill are started: Spark's master and settings, the text, the parameters, and the mark of all
    processes.
    """

    master: str
    conf: Mapping[str, str]
    text: Path
    parameters: ParamValues
    mark: str

    def command(self, output: Path, events: Path) -> list[str]:
        conf = {"spark.ui.enabled": "false", **event_log(events), **self.conf}
        parameters = {option_name(name): value for name, value in self.parameters.items()}
        words = job.options({"--input": self.text, "--output": output, **parameters})
        return ["./spark-submit.sh", "--master", self.master, *job.spark_options(conf), "jobs/train.py", *words]


def start(setting: Setting, output: Path) -> tuple[subprocess.Popen[bytes], Phases]:
    """The job, in a process group of its own, and its phases; its log and events lie beside the output."""
    events = output.with_suffix(".events")
    events = events / str(len(list(events.iterdir())) if events.exists() else 0)
    events.mkdir(parents=True)
    with output.with_suffix(".log").open("a") as log:
        log.write(_START)
        log.flush()
        running = subprocess.Popen(
            setting.command(output, events),
            cwd=job.ROOT,
            env={**os.environ, MARK: setting.mark, "SPARK_LOCAL_DIRS": str(output.parent / "local")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return running, Phases(events)


def log_of(output: Path) -> str:
    return output.with_suffix(".log").read_text(errors="replace")


def last_log(output: Path) -> str:
    """What the last start of the job has logged."""
    return log_of(output).rpartition(_START)[2]


def last_words(output: Path) -> str:
    """The sentence with which the last start of the job ended."""
    lines = last_log(output).splitlines()
    return next((line for line in reversed(lines) if line.startswith("error: ")), lines[-1] if lines else "")


def read_vectors(output: Path) -> dict[str, bytes]:
    words, _, vectors = read_model(store.open_model(str(output)))
    if not np.isfinite(vectors).all():
        raise ValueError(f"{output} has vectors that are not finite")
    return {w: v.tobytes() for w, v in zip(words.to_pylist(), vectors, strict=True)}


def compare(output: Path, undisturbed: Path, exact: bool) -> list[str]:
    """What is wrong with a finished output, beside that of an undisturbed run: with `exact` all vectors must be the
    same bytes, else row norms and scores be about the same.
    """
    problems, found, expected = left_behind(output), read_vectors(output), read_vectors(undisturbed)
    if found.keys() != expected.keys():
        return [*problems, "other words than in the undisturbed run"]
    if exact:
        return problems + ["other vectors than in the undisturbed run"] * (found != expected)
    norm, expected_norm = _typical_norm(found), _typical_norm(expected)
    if abs(norm / expected_norm - 1) > _NORMS_APART:
        problems.append(f"rows of a typical length of {norm:.3f}, in the undisturbed run {expected_norm:.3f}")
    score, expected_score = topic_score(output), topic_score(undisturbed)
    if abs(score - expected_score) > _SCORES_APART:
        problems.append(f"a topic score of {score:.3f}, in the undisturbed run {expected_score:.3f}")
    return problems


def topic_score(output: Path) -> float:
    """The share of nearest words that are of the same planted topic."""
    vectors = Vectors.open(str(output))
    return corpus.topic_score(vectors, range(len(vectors)), queries=1_000)[0] or 0.0


def left_behind(output: Path) -> list[str]:
    """What lies in a finished output and is no part of the model; Spark's own marks of success are none."""
    ours = {store.MANIFEST, store.REPORT, store.VOCAB, store.VECTORS, store.METRICS}
    problems = [f"holds {path.name}" for path in output.iterdir() if path.name not in ours]
    manifest = store.open_model(str(output)).manifest
    named = {output / directory / file["name"] for directory, files in manifest["files"].items() for file in files}
    strays = [p for d in manifest["files"] for p in (output / d).rglob("[!._]*") if p.is_file() and p not in named]
    return problems + [f"holds {path}" for path in [*strays, *output.rglob("_temporary*")]]


def left_running(setting: Setting, seconds: float = 30) -> list[str]:
    """Processes of jobs that are gone; executors get some seconds to notice."""
    end = time.monotonic() + seconds
    while True:
        commands = [command for _, command in marked_processes(setting.mark)]
        left = [c for c in commands if c and not re.search(r"deploy\.(worker\.Worker|master\.Master)", c)]
        if not left or time.monotonic() > end:
            return [command[:120] for command in left]
        time.sleep(0.5)


def write_text(path: Path, words: int, seed: int) -> None:
    """A text with planted topics, by bench/corpus.py without Spark."""
    text = corpus.ZipfText(words, vocabulary=3_000, topics=10, coherence=0.6, seed=seed)
    with path.open("w") as file:
        for chunk in range(text.chunks):
            file.writelines(f"{document}\n" for document in text.texts(chunk).to_pylist())


def _typical_norm(vectors: dict[str, bytes]) -> float:
    """The median length of a row."""
    rows = np.frombuffer(b"".join(vectors.values()), "<f4").reshape(len(vectors), -1)
    return float(np.median(np.linalg.norm(rows, axis=1)))
