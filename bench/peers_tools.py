"""How each peer is started, and what its run tells: one function for each that trains on a prepared text and leaves
vectors behind.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import job
import numpy as np
from peers_environment import Environment
from peers_text import Text

from w2v_spark import store
from w2v_spark.params import option_name
from w2v_spark.training.history import read_rounds
from w2v_spark.vectors.vectors import Vectors

PARAMETERS: dict[str, Any] = {
    "vector_size": 100,
    "window_size": 5,
    "negative": 5,
    "noise_exponent": 0.75,
    "sample": 1e-4,
    "min_count": 5,
    "step_size": 0.05,
    "min_step_size": 1e-4,
    "seed": 1,
}
OURS = "w2v_spark"
# those in C, whose programs a user builds
BUILT = {"word2vec-c": "word2vec.c", "pword2vec": "pWord2Vec", "full-w2v": "FULL-W2V"}
TITLES = {OURS: OURS, "gensim": "gensim", "mllib": "Spark MLlib", "fasttext": "fastText", **BUILT}
_SENTENCE_END = "</s>"
_WARM_UP_LINES = 2_000
# what one of word2vec.c's family prints over and over while it trains, and fastText: before, and while it trains
_C_TRAINS = re.compile(r"Alpha: ")
_FASTTEXT_COUNTED = re.compile(r"Number of labels")
_FASTTEXT_TRAINS = re.compile(r"Progress: ")


@dataclass(frozen=True)
class Setting:
    """What all runs share: the text, threads, where files go for a while, and how peers are found."""

    text: Text
    threads: int
    scratch: Path
    environment: Environment
    options: argparse.Namespace


@dataclass
class Trained:
    """What a run took: seconds in all, of training alone and of its phases, and MB at the most."""

    seconds_whole: float
    seconds_training: float
    memory: float
    phases: dict[str, float]
    vectors: Callable[[], Vectors]
    notes: list[str] = field(default_factory=list)


def train_ours(setting: Setting, epochs: int) -> Trained:
    """Our job as a user types it, on the text as it is, from the start of its script to its end."""
    output = setting.scratch / "ours"
    done = _submit_ours(setting, list(setting.text.files), output, epochs)
    rounds = read_rounds(store.open_model(str(output)))
    training, whole = (sum(getattr(r, name) for r in rounds) for name in ("seconds_train", "seconds"))
    phases = dict[str, float]()
    for name, seconds in done.phases().items():
        # what is neither training nor the rest of a round is the first vectors
        split = {"first vectors": seconds - whole, "training": training, "the rest of rounds": whole - training}
        phases |= split if name == "rounds" else {name: seconds}
    return Trained(done.seconds, training, done.peak(), phases, partial(Vectors.open, output))


def warm_up_ours(setting: Setting) -> None:
    """Compile the kernels, which are kept on disk from then on, by a run on the beginning of the text."""
    beginning = setting.scratch / "beginning.txt"
    with setting.text.path.open(encoding="utf-8") as lines, beginning.open("w", encoding="utf-8") as out:
        out.writelines(line for line, _ in zip(lines, range(_WARM_UP_LINES), strict=False))
    _submit_ours(setting, [beginning], setting.scratch / "beginning", 1)


def _submit_ours(setting: Setting, files: list[Path], output: Path, epochs: int) -> job.Finished:
    parameters = [text for name, value in PARAMETERS.items() for text in (option_name(name), str(value))]
    arguments = ["--input", *map(str, files), "--output", str(output), "--overwrite", "--max-iter", str(epochs)]
    master = ["--master", f"local[{setting.threads}]"]
    return job.run_job(setting.options.submit, master, ["jobs/train.py", *arguments, *parameters])


def train_gensim(setting: Setting, epochs: int) -> Trained:
    """gensim from its fastest input, a file of sentences."""
    names = {"window_size": "window", "noise_exponent": "ns_exponent", "step_size": "alpha"}
    settings = {names.get(name, name): value for name, value in PARAMETERS.items() if name != "min_step_size"}
    settings |= {"min_alpha": PARAMETERS["min_step_size"], "sg": 1, "workers": setting.threads, "epochs": epochs}
    trained, told = _run_python(setting, "gensim", settings)
    if abs(told["share_seen"] - 1) > 0.01:
        trained.notes.append(f"gensim's threads went through {told['share_seen']:.1%} of the text: bytes share it out")
    return trained


def train_fasttext(setting: Setting, epochs: int) -> Trained:
    """fastText's skip-gram without subwords."""
    p = PARAMETERS
    settings = {"model": "skipgram", "loss": "ns", "minn": 0, "maxn": 0, "thread": setting.threads, "epoch": epochs}
    settings |= {"dim": p["vector_size"], "ws": p["window_size"], "neg": p["negative"], "t": p["sample"]}
    settings |= {"minCount": p["min_count"], "lr": p["step_size"], "verbose": 2}
    trained, _ = _run_python(setting, "fasttext", settings)
    trained.notes.append("fastText draws negatives by count to the power 0.5, which cannot be changed")
    return trained


def train_mllib(setting: Setting, epochs: int) -> Trained:
    """Spark MLlib's Word2Vec with a partition for each thread."""
    p, vectors = PARAMETERS, setting.scratch / "mllib"
    settings = {"vectorSize": p["vector_size"], "windowSize": p["window_size"], "minCount": p["min_count"]}
    settings |= {"stepSize": p["step_size"], "seed": p["seed"], "maxIter": epochs, "numPartitions": setting.threads}
    memory = setting.options.mllib_memory
    options = ["--master", f"local[{setting.threads}]", "--driver-memory", memory]
    options += ["--conf", "spark.driver.maxResultSize=0"]
    script = str(job.ROOT / "bench" / "peers_mllib.py")
    arguments = [script, str(setting.text.path), str(vectors), json.dumps(settings)]
    done = job.run_job(setting.options.submit, options, arguments)
    trained, _ = _from_told(done, vectors)
    trained.notes.append(
        "MLlib trains by hierarchical softmax without subsampling and has no other way; its training is all after "
        f"counting, and its driver had {memory} of heap"
    )
    return trained


def train_built(name: str, setting: Setting, epochs: int) -> Trained:
    """A program that takes the options of word2vec.c; the others of the family pass over those that they lack."""
    p, threads = PARAMETERS, setting.threads
    # names are short, as some keep them in 100 bytes
    options = {"train": setting.text.path.name, "output": "built.bin", "size": p["vector_size"], "binary": 1}
    options |= {"window": p["window_size"], "negative": p["negative"], "sample": p["sample"], "alpha": p["step_size"]}
    options |= {"cbow": 0, "hs": 0, "min-count": p["min_count"], "iter": epochs, "threads": threads}
    program, *own = shlex.split(setting.options.programs[name])
    command = [str(Path(program).absolute()), *(str(x) for pair in options.items() for x in (f"-{pair[0]}", pair[1]))]
    done = job.run([*command, *own], setting.scratch)
    first, last = _span(done, _C_TRAINS, BUILT[name])
    phases = {"vocabulary": first, "training": last - first, "saving": done.seconds - last}
    load = partial(_read_built, setting.scratch / "built.bin")
    return Trained(done.seconds, last - first, done.peak(), phases, load)


TOOLS: dict[str, Callable[[Setting, int], Trained]] = {
    OURS: train_ours,
    "gensim": train_gensim,
    "fasttext": train_fasttext,
    **{name: partial(train_built, name) for name in BUILT},
    "mllib": train_mllib,
}


def _run_python(setting: Setting, name: str, settings: dict[str, Any]) -> tuple[Trained, dict[str, Any]]:
    """Run a peer of the environment."""
    vectors, script = setting.scratch / name, job.ROOT / "bench" / f"peers_{name}.py"
    command = [str(setting.environment.python), str(script), str(setting.text.path), str(vectors)]
    return _from_told(job.run([*command, json.dumps(settings)]), vectors)


def _from_told(done: job.Finished, vectors: Path) -> tuple[Trained, dict[str, Any]]:
    """What a peer printed when its vectors were saved; what it did after that is not timed."""
    whole, line = next((when, line) for when, line in done.log if line.startswith("told:"))
    told = json.loads(line.removeprefix("told:"))
    phases = dict(told["seconds"])
    if both := phases.pop("vocabulary and training", None):
        counted, trained = (_span(done, pattern, "fastText")[1] for pattern in (_FASTTEXT_COUNTED, _FASTTEXT_TRAINS))
        phases = {"training": trained - counted, "vocabulary": both - (trained - counted), **phases}
    phases["start"] = whole - sum(phases.values())
    return Trained(whole, phases["training"], done.peak(whole), phases, partial(_read_arrays, vectors)), told


def _span(done: job.Finished, pattern: re.Pattern[str], title: str) -> tuple[float, float]:
    """When the first and the last line came that match."""
    found = [when for when, line in done.log if pattern.search(line)]
    if not found:
        raise SystemExit(f"error: {title} did not print {pattern.pattern!r}, which tells when it trains")
    return found[0], found[-1]


def _read_arrays(vectors: Path) -> Vectors:
    words = vectors.with_name(vectors.name + ".txt").read_text(encoding="utf-8").split("\n")
    return Vectors(words, np.load(vectors.with_name(vectors.name + ".npy")))


def _read_built(path: Path) -> Vectors:
    """Vectors in word2vec's binary format, but the end of a sentence, which these programs take for a word."""
    found = Vectors.load_word2vec_format(path, binary=True, unicode_errors="replace")
    kept = [number for number, word in enumerate(found.index_to_key) if word != _SENTENCE_END]
    return Vectors([found.index_to_key[number] for number in kept], found.vectors[kept])
