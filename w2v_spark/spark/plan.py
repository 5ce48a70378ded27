"""What a run will need, told after counting and before training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from w2v_spark.params import Params
from w2v_spark.training.schedule import plan_rounds

# a Python worker with numpy, pyarrow and numba loaded, and what it reads ahead
_WORKER_BYTES = 400 << 20
_LANES = 16


@dataclass(frozen=True)
class Plan:
    """Resolved parameters with the size of vocabulary and corpus."""

    params: Params
    vocabulary: int
    words: int
    executors: int

    @property
    def rounds(self) -> int:
        """Merges in the whole run."""
        return len(plan_rounds(self.params.max_iter, self.params.rounds_per_epoch or 1, self.params.num_replicas or 1))

    @property
    def model_bytes(self) -> int:
        """syn0 and syn1 as they travel."""
        return 2 * 4 * self.vocabulary * self.params.vector_size

    @property
    def replica_bytes(self) -> int:
        """Memory of one replica's Python worker, outside the JVM."""
        padded = -(-self.params.vector_size // _LANES) * _LANES
        return 2 * 4 * self.vocabulary * padded + 12 * self.vocabulary + _WORKER_BYTES

    @property
    def round_bytes(self) -> int:
        """What one merge sends through the shuffle: every replica's changes, and the last model."""
        return self.model_bytes * ((self.params.num_replicas or 1) + 1)

    def to_dict(self) -> dict[str, Any]:
        return {
            "params": self.params.to_dict(),
            "vocabulary": self.vocabulary,
            "words": self.words,
            "executors": self.executors,
            "rounds": self.rounds,
            "model_bytes": self.model_bytes,
            "replica_bytes": self.replica_bytes,
            "round_bytes": self.round_bytes,
        }

    def line(self) -> str:
        """One line for the log."""
        p = self.params
        return (
            f"train {self.vocabulary:,} words x {p.vector_size} on {self.words:,} words x {p.max_iter} epochs: "
            f"{p.num_replicas} replicas of {p.threads_per_replica} threads on {self.executors} executors, "
            f"{self.rounds} rounds"
        )

    def text(self) -> str:
        """The plan for a person."""
        lines = [self.line(), "", "parameters:"]
        lines += [f"  {name} = {value}" for name, value in self.params.to_dict().items()]
        lines += [
            "",
            "memory and traffic:",
            "  driver            holds no model and no words; spark.driver.memory=1g is enough",
            f"  each replica      {_size(self.replica_bytes)} outside the JVM: spark.executor.memoryOverhead must "
            "hold it for each replica there",
            f"  model             {_size(self.model_bytes)}",
            f"  each of {self.rounds} rounds  {_size(self.round_bytes)} through the shuffle, "
            f"{_size(self.model_bytes)} written",
            f"  the whole run     {_size(self.round_bytes * self.rounds)} through the shuffle, "
            f"{_size(self.model_bytes * self.rounds)} written",
        ]
        return "\n".join(lines)


def _size(n: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1024:
            return f"{n:,.0f} {unit}"
        n /= 1024
    return f"{n:,.1f} TB"
