"""How the seconds of each phase grow, fitted to measured runs; and what a run of any size would take on machines whose
network and storage have given speeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scaling_runs import Measured, Sizes

from w2v_spark.params import Params
from w2v_spark.training.schedule import auto_rounds_per_epoch, merges_in_a_round

# what the seconds of each phase are made of: a name for the unit, and how many of it a run has on one core or, where
# one core does it alone, in all
TERMS: dict[str, dict[str, Callable[[Sizes], float]]] = {
    "counting": {
        "start": lambda s: 1,
        "word of the text / cores": lambda s: s.words / s.cores,
        "pair of word and count sent / cores": lambda s: s.records / s.cores,
    },
    "numbering": {"start": lambda s: 1, "word kept": lambda s: s.kept},
    "encoding": {
        "start": lambda s: 1,
        "word of the text / cores": lambda s: s.words / s.cores,
        "word of the vocabulary x tasks / cores": lambda s: s.vocabulary * s.tasks / s.cores,
    },
    "first vectors": {"start": lambda s: 1, "byte of the model / cores": lambda s: s.model_bytes / s.cores},
    "opening": {"round": lambda s: s.rounds, "byte of the model x rounds": lambda s: s.rounds * s.model_bytes},
    "training": {
        "word trained / cores": lambda s: s.words * s.epochs / s.cores,
        "word trained x log2 of the vocabulary / cores": lambda s: (
            s.words * s.epochs / s.cores * math.log2(s.vocabulary)
        ),
    },
    "syncs": {"sync": lambda s: s.syncs, "byte sent / cores": lambda s: _direct(s) * s.bytes_sent / s.cores},
    "merging and writing": {
        "round": lambda s: s.rounds,
        "byte sent / cores": lambda s: (1 - _direct(s)) * s.bytes_sent / s.cores,
        "byte of the model x rounds / cores": lambda s: s.rounds * s.model_bytes / s.cores,
    },
    "publishing": {
        "start": lambda s: 1,
        "word of the vocabulary": lambda s: s.vocabulary,
        "byte of the vectors / cores": lambda s: s.model_bytes / 2 / s.cores,
    },
}
# a word and its count as they are sent; an id in the encoded corpus; of a row that is merged directly: its change in
# half precision to the one that merges it, and the merged row from there
_BYTES_OF_A_COUNT, _BYTES_OF_AN_ID, _BYTES_OF_A_NUMBER_MERGED = 20, 4, 2 + 4


def _direct(sizes: Sizes) -> int:
    return int(sizes.exchange == "direct")


@dataclass(frozen=True)
class Fit:
    """The seconds of each unit of a phase, by the names in TERMS, and the largest error, as a share of what was
    measured.
    """

    seconds: dict[str, float]
    error: float

    def predict(self, phase: str, sizes: Sizes) -> float:
        return sum(each * TERMS[phase][name](sizes) for name, each in self.seconds.items())


def fit(runs: Sequence[Measured]) -> dict[str, Fit]:
    """Each phase by least squares of the errors as shares of what was measured."""
    return {phase: _fit_phase(phase, runs) for phase in TERMS}


def _fit_phase(phase: str, runs: Sequence[Measured]) -> Fit:
    pairs = [(run.sizes, run.seconds[phase]) for run in runs if run.seconds[phase] > 0]
    names = list(TERMS[phase])
    if not pairs:
        return Fit(dict.fromkeys(names, 0.0), 0.0)
    table = np.array([[TERMS[phase][name](sizes) / seconds for name in names] for sizes, seconds in pairs])
    found = non_negative(table, np.ones(len(pairs)))
    return Fit(dict(zip(names, found.tolist(), strict=True)), float(np.abs(table @ found - 1).max()))


def non_negative(table: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Least squares without negative factors: the most negative is left out, until there is none."""
    found, kept = np.zeros(table.shape[1]), [i for i in range(table.shape[1]) if table[:, i].any()]
    while kept:
        scale = np.abs(table[:, kept]).max(axis=0)
        factors = np.linalg.lstsq(table[:, kept] / scale, values, rcond=None)[0] / scale
        worst = int((factors * scale).argmin())
        if factors[worst] >= 0:
            found[kept] = factors
            break
        del kept[worst]
    return found


@dataclass(frozen=True)
class Setting:
    """A run that nobody has done, and the machines for it. Speeds are bytes a second of one executor; `core_speed` is
    that of one core, as a multiple of those that were measured; `gpu` is words a second of one, None without.
    """

    words: int
    vocabulary: int
    vector_size: int
    epochs: int
    executors: int
    cores: int
    exchange: str
    network: float
    storage: float
    core_speed: float
    word_bytes: float
    heaps: tuple[float, float]
    min_count: int
    task_bytes: float
    gpu: float | None = None

    def distinct(self, words: float) -> float:
        """Distinct words of a text, by Heaps' law."""
        factor, power = self.heaps
        return min(words, factor * words**power)

    def sizes(self) -> Sizes:
        """The sizes of the run, with rounds and merges as the program plans them."""
        replicas = self.executors
        tasks = max(self.executors * self.cores, math.ceil(self.words * self.word_bytes / self.task_bytes))
        kept = int(self.distinct(self.words) * share_kept(self.heaps[1], self.min_count))
        vocabulary = min(self.vocabulary, kept)
        direct, rule = self.exchange == "direct", Params().merge_rule
        per_epoch = auto_rounds_per_epoch(replicas, self.words, rule, self.exchange)
        rounds = self.epochs * per_epoch
        merges = rounds * merges_in_a_round(replicas, self.words, rule, per_epoch) if direct else 0
        model = 8 * vocabulary * self.vector_size
        merged = 2 * self.vector_size * vocabulary * merges
        sent = merged * _BYTES_OF_A_NUMBER_MERGED * (replicas - 1) if direct else model // 2 * replicas * rounds
        return Sizes(
            words=self.words,
            records=int(tasks * self.distinct(self.words / tasks)),
            kept=kept,
            vocabulary=vocabulary,
            tasks=tasks,
            executors=self.executors,
            cores=self.executors * self.cores,
            replicas=replicas,
            exchange=self.exchange,
            epochs=self.epochs,
            rounds=rounds,
            syncs=merges,
            vector_size=self.vector_size,
            bytes_sent=sent,
        )


def share_kept(power: float, min_count: int) -> float:
    """The share of distinct words that occur so often, where their number grows by Heaps' law with this power (the
    frequencies of the Pitman-Yor process: a word that was seen i times is seen again with odds of i - power).
    """
    return math.prod((i - power) / i for i in range(1, min_count))


@dataclass(frozen=True)
class Cost:
    """Seconds that a phase needs of the processors, of the network and of the storage. They overlap: it takes as long
    as the longest of them.
    """

    computing: float
    network: float
    storage: float

    @property
    def seconds(self) -> float:
        return max(self.computing, self.network, self.storage)

    @property
    def bound(self) -> str:
        """What the phase waits for."""
        return max(("computing", "network", "storage"), key=lambda name: getattr(self, name))


def project(fits: dict[str, Fit], runs: Sequence[Measured], setting: Setting) -> dict[str, Cost]:
    """What each phase costs."""
    s, everywhere = setting.sizes(), setting.executors
    text, corpus, model = s.words * setting.word_bytes, s.words * _BYTES_OF_AN_ID, s.model_bytes
    encoding = float(np.median([run.bytes_encoding / run.sizes.words for run in runs]))
    counting = float(np.median([run.bytes_counting / max(1, run.sizes.records) for run in runs]))
    # bytes through the network and to or from storage, of all executors
    moved = {
        "counting": (s.records * counting, text),
        "numbering": (s.kept * _BYTES_OF_A_COUNT * everywhere, 0),
        "encoding": (s.words * encoding, text + corpus),
        "first vectors": (model, model),
        "opening": (0, s.rounds * model * s.replicas),
        "training": (0, corpus * s.epochs),
        "syncs": (_direct(s) * s.bytes_sent, 0),
        # through storage every replica reads the last model again, to tell what it has changed, as the merge does
        "merging and writing": (
            (1 - _direct(s)) * s.bytes_sent,
            s.rounds * model * (1 if _direct(s) else s.replicas + 2),
        ),
        "publishing": (0, model),
    }
    costs = {}
    for phase, (through_network, through_storage) in moved.items():
        computing = fits[phase].predict(phase, s) / setting.core_speed
        if phase == "training" and setting.gpu:
            computing = s.words * s.epochs / (s.replicas * setting.gpu)
        network, storage = (
            through_network / (setting.network * everywhere),
            through_storage / (setting.storage * everywhere),
        )
        costs[phase] = Cost(computing, network, storage)
    return costs
