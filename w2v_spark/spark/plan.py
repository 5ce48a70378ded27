"""What a run will need, told after counting and before training."""

from __future__ import annotations

from dataclasses import dataclass

from w2v_spark.corpus.huffman import estimated_code_length
from w2v_spark.kernels.sizes import whole_vectors
from w2v_spark.params import Params, spelt
from w2v_spark.spark.encode import BUCKET_WORDS, bucket_count
from w2v_spark.training.merge import weighs
from w2v_spark.workdir.blocks import BLOCK_BYTES, ROW_GROUP_BYTES

# measured on vectors of 300: a Python worker that trains, beside its model, and one that only merges; Java beside its
# heap; and the cores that 1 GB of heap is enough for
_REPLICA_BYTES = 600 << 20
_MERGE_BYTES = 500 << 20
_JAVA_BYTES = 700 << 20
_CORES_OF_A_GIGABYTE = 8
# worked out, not measured: what a further thread of a replica has of the last model while it reads, a row group and two
# blocks that wait
_READING_BYTES = ROW_GROUP_BYTES + 2 * BLOCK_BYTES
# worked out, not measured: a GPU takes 16 million words at a time, of 4 bytes each; three such pieces wait or train,
# one is done, and one lies there in parts
_GPU_PIECES_BYTES = 5 * 4 * (16 << 20)


@dataclass(frozen=True)
class Plan:
    """Resolved parameters with the size of vocabulary, corpus and cluster; `cores` are those of one executor, in local
    mode those that Spark uses of the machine; where GPUs train, `gpus` are those of one executor; `task_cores` are
    those that Spark takes for a replica, where these are not its threads.
    """

    params: Params
    vocabulary: int
    words: int
    executors: int
    cores: int
    local: bool
    gpus: int = 1  # as conf/gpu-cluster.conf has it
    task_cores: int | None = None

    @property
    def replicas(self) -> int:
        """Replicas in all."""
        return self.params.replicas

    @property
    def side_by_side(self) -> int:
        """The most replicas that one executor trains at once."""
        return min(self.replicas, max(1, self.room(self.cores)))

    def room(self, cores: int) -> int:
        """How many replicas an executor of so many cores has room for."""
        if self.local:  # which counts tasks, and neither their threads nor their GPUs
            return cores
        if self._on_gpus:
            return min(self.gpus, cores)
        return cores // (self.task_cores or self.params.threads)

    @property
    def rounds(self) -> int:
        """Rounds in the whole run."""
        return self.params.max_iter * self.params.rounds_of_an_epoch

    @property
    def model_bytes(self) -> int:
        """syn0 and syn1 as they travel."""
        return 2 * 4 * self.vocabulary * self.params.vector_size

    @property
    def replica_bytes(self) -> int:
        """Memory of one replica's Python worker, outside the JVM and any GPU: the model, tables of the vocabulary, a
        bucket of the corpus, what waits for the GPU, what its threads read of the last model, what it has of other
        replicas, and itself.
        """
        # a longer bucket than those that were measured: as read, without the rows of its neighbours, and as ids
        bucket = 3 * 4 * max(0, self.words // bucket_count(self.words) - BUCKET_WORDS)
        pieces = _GPU_PIECES_BYTES if self._on_gpus else 0
        readers = 0 if self._on_gpus else self.params.threads - 1
        reading = min(_READING_BYTES * readers, self.model_bytes)
        rest = bucket + pieces + reading + self._exchange_bytes + _REPLICA_BYTES
        return self.vocabulary * self._word_bytes + rest

    @property
    def _exchange_bytes(self) -> int:
        """Memory of what a replica that merges directly has of all others at once: two changes of a block for each of
        its threads and one more, in half precision (training/exchange.py), and the block that each other one asks for.
        """
        if not self._direct:
            return 0
        halves = 2 * self.params.threads + 1 + 2
        return (self.replicas - 1) * halves * min(BLOCK_BYTES, self.model_bytes // self.replicas) // 2

    @property
    def _word_bytes(self) -> int:
        """Memory that a word of the vocabulary takes in a replica: as it trains it, unless a GPU's memory has that, as
        all last agreed on it, and in tables.
        """
        size = self.params.vector_size
        trained = 0 if self._on_gpus else 2 * 4 * whole_vectors(size)
        agreed = 2 * 4 * size if self._direct else 0
        return trained + agreed + self._table_bytes

    @property
    def _table_bytes(self) -> int:
        """Memory that a word takes in tables: its count and how often it is kept, what its loss needs (`Outputs` of
        kernels/outputs.py), and how often its rows are trained where that weighs what changed.
        """
        weighed = 2 * 8 if weighs(self.params) else 8 * (self.params.merge_rule == "count_weighted")
        return 8 + 4 + self._loss_bytes + weighed

    @property
    def _loss_bytes(self) -> int:
        """Memory that a word takes in the tables of the loss: a slot of the alias table, or its way from the root of
        the Huffman tree.
        """
        if self.params.loss != "hierarchical_softmax":
            return 8 * (self.params.loss == "negative_sampling")
        # to count how often nodes are trained takes two numbers of 8 bytes for each step of a way, for a moment
        counting = 2 * 8 * (weighs(self.params) or self._on_gpus)
        return 8 + (8 + counting) * estimated_code_length(self.vocabulary)

    def words_that_fit(self, memory: int, together: int) -> int:
        """How many words a vocabulary may have for so many replicas to fit into so many bytes together."""
        rest = self.replica_bytes - self.vocabulary * self._word_bytes
        return max(0, (memory // together - rest) // self._word_bytes)

    @property
    def python_bytes(self) -> int:
        """Memory of one executor's Python workers: those that train, and those that only merge."""
        return self.side_by_side * self.replica_bytes + self._mergers * _MERGE_BYTES

    @property
    def overhead_megabytes(self) -> int:
        """What an executor needs beside its heap, for Python and for Java itself."""
        return -(-(self.python_bytes + _JAVA_BYTES) // (1 << 20))

    @property
    def _mergers(self) -> int:
        """The workers that an executor has for its other cores, which Spark keeps for the next round. A worker folds
        one block of 1 MB after another, however large the model is.
        """
        return self.cores - self.side_by_side if self.replicas > 1 and not self._direct else 0

    @property
    def _on_gpus(self) -> bool:
        """Whether GPUs train the replicas."""
        return self.params.device == "cuda"

    @property
    def _direct(self) -> bool:
        """Whether replicas merge by themselves."""
        return self.params.exchange == "direct"

    @property
    def read_bytes(self) -> int:
        """What a round reads of the last model: every replica to start from it, and where they merge through storage
        again to tell what changed; the merge once.
        """
        if self.replicas == 1 or self._direct:
            return self.model_bytes * self.replicas
        return self.model_bytes * (2 * self.replicas + 1)

    @property
    def shuffle_bytes(self) -> int:
        """The most that a round sends through the shuffle: what every replica changed, in half precision. A lone
        replica has nothing to merge with, and replicas that merge directly send it to each other.
        """
        return self.model_bytes * self.replicas // 2 if self.replicas > 1 and not self._direct else 0

    def line(self) -> str:
        """One line for the log."""
        p = self.params
        return (
            f"train {counted(self.vocabulary, 'word')} x {p.vector_size} on {counted(self.words, 'word')} x "
            f"{counted(p.max_iter, 'epoch')}: {counted(self.replicas, 'replica')} of "
            f"{counted(p.threads, 'thread')} on {counted(self.executors, 'executor')}, "
            f"{counted(self.rounds, 'round')}"
        )

    def text(self) -> str:
        """The plan for a person."""
        parameters = [f"  {name} = {spelt(name, value)}" for name, value in self.params.to_dict().items()]
        memory = self._memory_here() if self.local else self._memory_of_executors()
        return "\n".join([self.line(), "", "parameters:", *parameters, "", *memory, "", *self._traffic()])

    def _memory_here(self) -> list[str]:
        return [
            "memory of this machine:",
            f"  Python  {size_in_words(self.python_bytes)}: {self._workers()}",
            "  Java    spark.driver.memory=2g, which ./spark-submit.sh sets, holds documents of up to 100 MB",
        ]

    def _memory_of_executors(self) -> list[str]:
        heap, overhead = -(-self.cores // _CORES_OF_A_GIGABYTE), self.overhead_megabytes
        return [
            "memory:",
            "  driver         spark.driver.memory=1g is enough: it holds no model and no words",
            f"  each executor  spark.executor.memory={heap}g is enough, {heap + 1}g where documents reach 100 MB",
            f"                 spark.executor.memoryOverhead={overhead}m, or as much of the machine left free:",
            f"                 {self._workers()}, and {size_in_words(_JAVA_BYTES)} for Java",
        ]

    def _workers(self) -> str:
        """The Python workers of one executor in words."""
        text, others = f"{counted(self.side_by_side, 'replica')} of {size_in_words(self.replica_bytes)}", self._mergers
        return f"{text}, {counted(others, 'more worker')} of {size_in_words(_MERGE_BYTES)}" if others else text

    def _traffic(self) -> list[str]:
        rows = [
            ("read from the output", self.read_bytes, ""),
            ("through the shuffle", self.shuffle_bytes, "at most "),
            ("written to the output", self.model_bytes, ""),
        ]
        lines = [
            f"{f'traffic (the model has {size_in_words(self.model_bytes)}):':<36}{'a round':>16}{'the whole run':>20}"
        ]
        for what, size, limit in rows:
            each, all = (f"{limit if n else ''}{size_in_words(n)}" for n in (size, size * self.rounds))
            lines.append(f"  {what:<34}{each:>16}{all:>20}")
        return lines


def counted(number: int, noun: str) -> str:
    """A number and its noun, which takes an s from two on."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size_in_words(n: float) -> str:
    """Bytes for a person."""
    if not n:
        return "nothing"
    for unit in ("bytes", "KB", "MB", "GB"):
        if n < 1024:
            return f"{n:.1f} {unit}" if n < 10 and unit != "bytes" else f"{n:.0f} {unit}"
        n /= 1024
    return f"{n:,.1f} TB"
