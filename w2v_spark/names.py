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

# where the values differ as well
_VALUES = {"cbow": "cbow or skip_gram", "hs": "hierarchical_softmax or negative_sampling", "sg": "skip_gram or cbow"}

# gensim's, pyspark's and fastText's that no parameter stands for
_NO_SUBWORDS = "words are trained whole: there are no vectors of subwords"
_IN_OTHER_WAYS = {
    "bucket": _NO_SUBWORDS,
    "callbacks": "a model is scored while it trains by scoring, --evaluate-every",
    "compute_loss": "the loss is always told, in the log and in OUT/metrics",
    "corpus_file": "the text is the first argument of train, --input",
    "max_n": _NO_SUBWORDS,
    "maxn": _NO_SUBWORDS,
    "max_vocab_size": "not needed, as Spark counts every word; max_vocab keeps the most frequent",
    "min_n": _NO_SUBWORDS,
    "minn": _NO_SUBWORDS,
    "numPartitions": "here it is num_replicas",
    "sentences": "the text is the first argument of train, --input",
    "trim_rule": "words are chosen by min_count, max_vocab and a list, vocab",
}
# of a command line; where a job finds one, it stands behind the job's name
SPARK_SUBMIT = {
    *("--archives", "--conf", "--deploy-mode", "--driver-cores", "--driver-java-options", "--driver-memory"),
    *("--executor-cores", "--executor-memory", "--files", "--jars", "--keytab", "--master", "--num-executors"),
    *("--packages", "--principal", "--properties-file", "--py-files", "--queue", "--remote", "--total-executor-cores"),
}


def parameter_hint(name: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> str:
    """A hint for a name that no parameter has, or nothing; `known` are those of the parameters, as `spelt` there."""
    known = list(known)
    theirs = name.lstrip("-").replace("-", "_")
    if theirs in _IN_OTHER_WAYS and spelt("num_replicas") in known:
        return f" ({_IN_OTHER_WAYS[theirs]})"
    ours = spelt(FOREIGN[theirs]) if theirs in FOREIGN else None
    values = f": {_VALUES[theirs]}" if theirs in _VALUES else ""
    return f" (here it is {ours!r}{values})" if ours in known else did_you_mean(name, known)


def hint_or_known(name: str, known: Iterable[str], spelt: Callable[[str], str] = str) -> str:
    """A hint for a name that no parameter has, or where there is none the names that parameters have."""
    known = list(known)
    return parameter_hint(name, known, spelt) or f"; known are: {', '.join(known)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, or nothing."""
    # the dashes of options make none of them alike
    bare = {one.lstrip("-"): one for one in known}
    near = difflib.get_close_matches(name.lstrip("-")[:80], bare, n=1)
    return f" (did you mean {bare[near[0]]!r}?)" if near else ""
