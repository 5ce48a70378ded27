"""Names of gensim's KeyedVectors that `Vectors` have not, and what to use instead of each."""

from __future__ import annotations

from typing import NoReturn

_READ_ONLY = "vectors are read-only: vectors.to_gensim() gives a KeyedVectors that can be changed"
_IN_GENSIM = "vectors.to_gensim() gives a KeyedVectors, which has it"

INSTEAD = {
    "add_vector": _READ_ONLY,
    "add_vectors": _READ_ONLY,
    "allocate_vecattrs": _READ_ONLY,
    "expandos": "use vectors.counts or vectors.get_vecattr(word, 'count')",
    "fill_norms": "vectors.norms is there when it is first asked for",
    "index2entity": "use vectors.index_to_key",
    "index2word": "use vectors.index_to_key",
    "init_sims": "nothing needs it; use vectors.get_normed_vectors() for the vectors at length one",
    "intersect_word2vec_format": _READ_ONLY,
    "load": "it reads pickle, which runs code; use Vectors.open for a model, Vectors.load_word2vec_format for a file",
    "log_accuracy": "use what vectors.evaluate_word_analogies returns",
    "log_evaluate_word_pairs": "use what vectors.evaluate_word_pairs returns",
    "resize_vectors": _READ_ONLY,
    "save": "it writes pickle; use vectors.save_word2vec_format, or convert --to for other formats",
    "set_vecattr": _READ_ONLY,
    "similarity_unseen_docs": _IN_GENSIM,
    "sort_by_descending_frequency": "the words of a trained model are sorted so, those of a file keep their order",
    "unit_normalize_all": "use vectors.get_normed_vectors()",
    "vectors_for_all": "use Vectors(words, vectors[words]) with words that are in vectors",
    "vectors_norm": "use vectors.get_normed_vectors()",
    "vocab": "use vectors.key_to_index, and vectors.get_vecattr(word, 'count')",
    "wmdistance": _IN_GENSIM,
    "word_vec": "use vectors.get_vector",
    "words_closer_than": "use vectors.closer_than",
}


class Absent:
    """A name that its class has not either, beside the objects of the class."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise absence(owner, self.name, instance)


def absence(owner: type, name: str, instance: object) -> AttributeError:
    """The error for a name that is not there."""
    instead = f": {INSTEAD[name]}" if name in INSTEAD else ""
    return AttributeError(f"{owner.__name__!r} object has no attribute {name!r}{instead}", name=name, obj=instance)
