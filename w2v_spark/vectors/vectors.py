"""Word vectors opened from Parquet, asked as gensim's KeyedVectors are: same names, same order of arguments."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from w2v_spark import store
from w2v_spark.errors import ParamError, W2VError
from w2v_spark.kernels.arrays import arrays_on
from w2v_spark.vectors.absent import Absent, absence
from w2v_spark.vectors.similar import Neighbours as Neighbours
from w2v_spark.vectors.similar import Similar

if TYPE_CHECKING:
    from w2v_spark.vectors.correlation import Correlation

DTYPES = ("float32", "float16")


class Vectors(Similar):
    """Words and their vectors, by id: the most frequent word first.

    A word is looked up as it is spelt, then as the model's text was normalised: NFC, and lower-cased where training did
    so; an integer is an id. The vectors lie in memory once, as they are, read-only; of the unit vectors only the
    lengths are kept.
    """

    load = Absent()  # called on the class, which does not ask __getattr__

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, dtype: str = "float32", mmap: bool = False, device: str = "cpu"
    ) -> Vectors:
        """The vectors of a finished model, OUT or OUT/vectors, a local path or any URI that pyarrow opens; or a local
        .npy or .safetensors file that `convert` wrote.

        dtype "float16" halves the memory and rounds each number to 11 bits. `mmap` leaves the numbers of a file on
        disk and reads what a query touches; Parquet is compressed, which leaves nothing to map. device "cuda" searches
        on the GPU, to which the vectors are copied once.
        """
        arrays_on(device)  # what is missing is told before anything is read
        if dtype not in DTYPES:
            raise ParamError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        name = os.fspath(path)
        if name.endswith((".npy", ".safetensors")):
            from w2v_spark.vectors.formats import read_file

            found = read_file(name, mmap=mmap)
            if mmap and found.vectors.dtype != dtype:
                raise ParamError(f"{name} holds {found.vectors.dtype}: it can be mapped as that alone, not as {dtype}")
            matrix = found.vectors.astype(dtype, copy=False)
            return cls(found._words, matrix, found.counts, lowercase=found.lowercase, device=device)
        if mmap:
            raise ParamError(
                f"{name} is Parquet, whose compressed pages cannot be mapped: write a .npy once, with "
                "convert --to numpy, and open that with mmap=True"
            )
        if os.path.isfile(name):
            from w2v_spark.vectors.formats.files import refuse_pickle

            refuse_pickle(Path(name))
        from w2v_spark.vectors.load import read_model

        model = store.open_model(name)
        words, counts, vectors = read_model(model, dtype)
        return cls(words, vectors, counts, lowercase=bool(model.params.get("lowercase", False)), device=device)

    @classmethod
    def load_word2vec_format(
        cls,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: npt.DTypeLike = np.float32,
        no_header: bool = False,
    ) -> Vectors:
        """The vectors of a local file in word2vec's text or binary format, with the counts of a file FNAME.vocab where
        that is named; `formats.read_file` knows others. `no_header` is there for gensim's sake: the file tells.
        """
        from w2v_spark.vectors.as_gensim import checked_encoding, format_name
        from w2v_spark.vectors.formats import read_file

        checked_encoding(encoding)
        if (dtype := np.dtype(datatype).name) not in DTYPES:
            raise ParamError(f"datatype must be one of {', '.join(DTYPES)}, got {dtype}")
        found = read_file(fname, format_name(fname, fvocab, binary), unicode_errors=unicode_errors, limit=limit)
        return cls(found._words, found.vectors.astype(dtype, copy=False), found.counts)

    def save_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
        total_vec: None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
    ) -> None:
        """Write word2vec's text or binary format to a new file, and the counts to FNAME.vocab where that is named;
        `formats.write_file` knows others. The arguments from total_vec on may be given as they are.
        """
        from w2v_spark.vectors.as_gensim import checked_save, format_name
        from w2v_spark.vectors.formats import write_file

        checked_save(total_vec=total_vec, write_header=write_header, prefix=prefix, append=append, sort_attr=sort_attr)
        write_file(self, fname, format_name(fname, fvocab, binary))

    def to_gensim(self) -> Any:
        """A KeyedVectors of gensim with these words, counts and a copy of the vectors."""
        try:
            from gensim.models import KeyedVectors
        except ImportError as e:
            raise W2VError("to_gensim needs gensim: install it with pip install gensim") from e
        found = KeyedVectors(self.vector_size)
        found.add_vectors(self.index_to_key, self.vectors.astype(np.float32, copy=False))
        if self.counts is not None:
            found.expandos["count"] = self.counts.copy()
        return found

    def evaluate_word_analogies(
        self,
        analogies: str | os.PathLike[str],
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
        similarity_function: str = "most_similar",
    ) -> tuple[float, list[dict[str, Any]]]:
        """Gensim's report of a file of analogies: the share answered correctly, and a section's questions, the last
        the total; `evaluate.evaluate_analogies` gives counts. 3CosMul where similarity_function is most_similar_cosmul.
        """
        from w2v_spark.vectors.as_gensim import word_analogies

        return word_analogies(self, analogies, restrict_vocab, case_insensitive, dummy4unknown, similarity_function)

    def evaluate_word_pairs(
        self,
        pairs: str | os.PathLike[str],
        delimiter: str = "\t",
        encoding: str = "utf8",
        restrict_vocab: int | None = 300_000,
        case_insensitive: bool = True,
        dummy4unknown: bool = False,
    ) -> tuple[Correlation, Correlation, float]:
        """Gensim's report of a file of rated word pairs: Pearson's and Spearman's correlation, each with its p-value,
        and the percentage of pairs with an unknown word. A delimiter other than the tab is taken; without one each line
        tells its own.
        """
        from w2v_spark.vectors.as_gensim import word_pairs

        return word_pairs(self, pairs, delimiter, encoding, restrict_vocab, case_insensitive, dummy4unknown)

    if not TYPE_CHECKING:  # a type checker is to go on refusing names that are not there

        def __getattr__(self, name: str) -> Any:
            raise absence(type(self), name, self)
