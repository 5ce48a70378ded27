"""What to call a parameter: the names that other tools have for it, and near spellings."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

# where they differ from ours: gensim 4 and 3, word2vec.c, fastText
FOREIGN = {
    "alpha": "step_size",
    "cbow": "architecture",
    "dim": "vector_size",
    "epoch": "max_iter",
    "epochs": "max_iter",
    "hs": "loss",
    "iter": "max_iter",
    "lr": "step_size",
    "max_final_vocab": "max_vocab",
    "min_alpha": "min_step_size",
    "neg": "negative",
    "ns_exponent": "noise_exponent",
    "sg": "architecture",
    "size": "vector_size",
    "t": "sample",
    "thread": "threads_per_replica",
    "threads": "threads_per_replica",
    "window": "window_size",
    "workers": "threads_per_replica",
    "ws": "window_size",
}


def parameter_hint(name: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> str:
    """A hint for a name that no parameter has, or nothing; `known` are those of the parameters, as `spelt` there."""
    known = list(known)
    theirs = name.lstrip("-").replace("-", "_")
    ours = spelt(FOREIGN[theirs]) if theirs in FOREIGN else None
    return f" (here it is {ours!r})" if ours in known else did_you_mean(name, known)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, or nothing."""
    near = difflib.get_close_matches(name[:80], list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""
