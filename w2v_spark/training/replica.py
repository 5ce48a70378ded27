"""One replica's model in memory, with all that its kernel needs: on the CPU or on a GPU, used alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from w2v_spark.array_types import Floats
from w2v_spark.corpus.noise import keep_probability
from w2v_spark.errors import FormatError
from w2v_spark.params import Params
from w2v_spark.threads import side_by_side
from w2v_spark.training.schedule import learning_rate
from w2v_spark.training.sentences import PIECE_WORDS, Piece
from w2v_spark.workdir.blocks import SYN0, SYN1
from w2v_spark.workdir.vocabulary import Vocabulary

if TYPE_CHECKING:
    from w2v_spark.kernels.outputs import Outputs

_FULL = np.float64(2**32 - 1)
# a GPU trains thousands of tiles at once, and only a small part of a piece may be in flight at one time
_GPU_PIECE_WORDS = 16 << 20

# words kept, pairs, loss summed over sampled pairs, sampled pairs
Result = tuple[int, int, float, int]
# the first row and the rows of some blocks of a matrix
Blocks = Iterable[tuple[int, Floats]]


class ModelRows(Protocol):
    """A model whose rows are read and set."""

    def write(self, matrix: str, first: int, rows: Floats) -> None:
        """Set rows of syn0 or syn1 from float32[n, vector_size]."""

    def rows(self, matrix: str, first: int, stop: int) -> Floats:
        """Rows of syn0 or syn1, at least vector_size columns."""


class Replica(ModelRows, Protocol):
    """A model that is trained in place, piece by piece."""

    @property
    def piece_words(self) -> int | None:
        """Pieces are joined to so many words, where that is faster."""

    @property
    def processor(self) -> str:
        """What trains it, as its maker calls it."""

    def train(self, piece: Piece) -> Result:
        """Train a piece; several threads may do so at once where it is on the CPU."""


@dataclass(frozen=True)
class Sampling:
    """What kernels need to know of the vocabulary: counts, keep probabilities (uint32, 2**32 - 1 is one), the tables of
    the loss, and, where any are, which words are frozen: their rows of syn0 stay as they are.
    """

    counts: npt.NDArray[np.int64]
    keep: npt.NDArray[np.uint32]
    outputs: Outputs
    frozen: npt.NDArray[np.bool_] | None = None

    @classmethod
    def of_counts(cls, counts: npt.NDArray[np.int64], params: Params) -> Sampling:
        """Nothing is frozen."""
        from w2v_spark.kernels.outputs import Outputs

        keep = (keep_probability(counts, params.sample) * _FULL).astype(np.uint32)
        return cls(counts, keep, Outputs.of_counts(params.loss, counts, params.noise_exponent))

    @classmethod
    def of_vocabulary(cls, vocabulary: pa.Table, params: Params) -> Sampling:
        """From the column `count` of a vocabulary by id and, where it has one, `frozen` (bool)."""
        sampling = cls.of_counts(vocabulary["count"].to_numpy(), params)
        frozen = vocabulary["frozen"].to_numpy() if "frozen" in vocabulary.column_names else np.zeros(0, bool)
        return replace(sampling, frozen=frozen) if frozen.any() else sampling


@lru_cache(maxsize=1)
def read_sampling(vocabulary: Vocabulary, params: Params) -> Sampling:
    """From the vocabulary of a run; kept by a worker process that Spark reuses from round to round."""
    columns = ["count", "frozen"] if vocabulary.frozen else ["count"]
    return Sampling.of_vocabulary(vocabulary.read(columns=columns), params)


def open_replica(
    params: Params, sampling: Sampling, files: Callable[[str], Sequence[Blocks]], device: int | None
) -> Replica:
    """A replica that starts from the model of which `files(matrix)` gives the blocks file by file, as many files at a
    time as the replica has threads; on the GPU with that number, or on the CPU.
    """
    replica = CpuReplica.empty(params, sampling) if device is None else GpuReplica.empty(params, sampling, device)

    def written(matrix: str, blocks: Blocks) -> Iterator[int]:
        for first, rows in blocks:
            replica.write(matrix, first, rows)
            yield len(rows)

    for matrix in (SYN0, SYN1):
        seen = sum(side_by_side([written(matrix, blocks) for blocks in files(matrix)], params.threads))
        if seen != len(sampling.counts):
            raise FormatError(f"the model has {seen} rows of {matrix}, the vocabulary {len(sampling.counts)}")
    return replica


@dataclass(frozen=True)
class CpuReplica:
    """A model as two matrices, words x padded vector size, which threads train together (Hogwild)."""

    params: Params
    syn0: Floats
    syn1: Floats
    sampling: Sampling
    kernel: Any
    piece_words: int | None = None

    @classmethod
    def empty(cls, params: Params, sampling: Sampling) -> CpuReplica:
        """A model of zeros."""
        from w2v_spark.kernels.aligned import aligned_matrix
        from w2v_spark.kernels.cpu import compile_kernel
        from w2v_spark.kernels.sizes import whole_vectors

        sizes = (params.vector_size, params.window_size, params.negative)
        options = (params.cbow_mean, params.exclude_window, sampling.frozen is not None)
        kernel = compile_kernel(params.architecture, params.loss, *sizes, *options)
        shape = (len(sampling.counts), whole_vectors(params.vector_size))
        return cls(params, aligned_matrix(*shape), aligned_matrix(*shape), sampling, kernel)

    @property
    def processor(self) -> str:
        return str(self.kernel.processor)

    def write(self, matrix: str, first: int, rows: Floats) -> None:
        self._matrix(matrix)[first : first + len(rows), : rows.shape[1]] = rows

    def rows(self, matrix: str, first: int, stop: int) -> Floats:
        return self._matrix(matrix)[first:stop]

    def train(self, piece: Piece) -> Result:
        steps, tables = _steps(self.params, piece), (self.sampling.keep, self.sampling.outputs)
        sentences, model = (piece.ids, piece.offsets), (self.syn0, self.syn1)
        result: Result = self.kernel(*sentences, *model, *tables, *steps, piece.key, self.sampling.frozen)
        return result

    def _matrix(self, name: str) -> Floats:
        return self.syn0 if name == SYN0 else self.syn1


@dataclass(frozen=True)
class GpuReplica:
    """A model on a GPU, trained by one thread."""

    params: Params
    model: Any
    piece_words: int | None = _GPU_PIECE_WORDS

    @classmethod
    def empty(cls, params: Params, sampling: Sampling, device: int) -> GpuReplica:
        """A model of zeros on GPU number `device` of those that this process sees; DeviceError says what it cannot
        do.
        """
        from w2v_spark.kernels import cuda, cuda_device

        sizes = (params.vector_size, params.window_size, params.negative)
        most = max(_GPU_PIECE_WORDS, 2 * PIECE_WORDS, 2 * params.max_sentence_length)
        card = cuda_device.open_card(device)
        tables = (sampling.counts, sampling.keep, sampling.outputs)
        options = (params.cbow_mean, params.exclude_window, sampling.frozen)
        model = cuda.open_model(card, params.architecture, sizes, *tables, most, *options)
        return cls(params, model)

    @property
    def processor(self) -> str:
        return str(self.model.card.name)

    def write(self, matrix: str, first: int, rows: Floats) -> None:
        self.model.write_rows(matrix, first, rows)

    def rows(self, matrix: str, first: int, stop: int) -> Floats:
        rows: Floats = self.model.read_rows(matrix, first, stop)
        return rows

    def train(self, piece: Piece) -> Result:
        steps = _steps(self.params, piece)
        result: Result = self.model.train(piece.ids, piece.offsets, *steps, piece.key)
        return result


def _steps(params: Params, piece: Piece) -> tuple[float, float]:
    """The learning rates at the piece's ends."""
    return learning_rate(params, piece.start), learning_rate(params, piece.stop)
