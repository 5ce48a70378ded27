"""The checks of `gpu.py` that the GPU computes what it should. Each prints its table row by row and returns whether it
does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from encoded import EncodedText
from gpu_checks import Task, row

from w2v_spark.kernels.arrays import arrays_on
from w2v_spark.kernels.cuda import open_model
from w2v_spark.kernels.cuda_centre_plan import centre_crowding
from w2v_spark.kernels.cuda_centre_reference import CentreReference
from w2v_spark.kernels.cuda_device import open_card
from w2v_spark.kernels.cuda_model import DeviceModel
from w2v_spark.kernels.cuda_plan import crowding, plan_layout
from w2v_spark.kernels.cuda_reference import TileReference
from w2v_spark.kernels.outputs import Outputs
from w2v_spark.vectors import metrics, search
from w2v_spark.vectors.metrics import Rows

LENGTHS = {"full tiles": [64, 64], "partial": [5, 1, 40, 0, 2, 70, 1, 1, 3], "one word": [1], "many": [50] * 100}
CENTRES = [("cbow", "negative_sampling"), ("cbow", "hierarchical_softmax"), ("skip_gram", "hierarchical_softmax")]
SHORT_ROWS = 50_000
KEY, STEP_FROM, STEP_TO, WORDS = 77, 0.05, 0.02, 500


def parity(data: Path, short: bool) -> bool:
    """One block of the GPU, skip-gram with negative sampling, against the numpy model in float64, for settings from
    the least to the most.
    """
    tensors = (False, True) if open_card(0).tensor else (False,)
    settings = [(16, 5, 5), (100, 5, 5), (1, 1, 1), (300, 20, 32), (1024, 20, 5), (128, 8, 1), (50, 17, 32)]
    row("products, settings, sentences", "syn0", "syn1", "loss", "bound")
    passed = True
    cases = itertools.product(tensors, settings[: 2 if short else None], list(LENGTHS)[: 2 if short else None])
    for tensor, (size, window, negative), name in cases:
        task = Task(_corpus(LENGTHS[name]), size, window, negative, 1e-2)
        replica = task.replica(plan_layout(size, window, open_card(0).shared, tensor), blocks=1)
        crowds = crowding(task.corpus.counts, task.keep, task.noise, window, negative)
        tables = (task.keep, task.noise.slots)
        model = TileReference(window, negative, *tables, crowds, rounded=tensor)
        title = f"{'bf16' if tensor else 'float'} {size} {window} {negative} {name}"
        passed &= _compare(title, task.corpus, replica, model, size, 2e-3 if tensor else 1e-4)
    return passed


def centres(data: Path, short: bool) -> bool:
    """One block of the GPU, CBOW and hierarchical softmax, against the numpy model in float64."""
    settings = [(16, 5, 5), (100, 5, 5), (1, 1, 1), (300, 20, 32), (1024, 20, 5)]
    row("architecture, loss, settings", "syn0", "syn1", "loss", "bound")
    passed = True
    cases = itertools.product(CENTRES, settings[: 1 if short else None], ("partial", "many")[: 1 if short else None])
    for (architecture, loss), (size, window, negative), name in cases:
        task = Task(_corpus(LENGTHS[name]), size, window, negative, 1e-2)
        counts, outputs = task.corpus.counts, Outputs.of_counts(loss, task.corpus.counts)
        replica = open_model(open_card(0), architecture, (size, window, negative), counts, task.keep, outputs, 1 << 16)
        replica.blocks_for = lambda tokens, step: 1  # type: ignore[method-assign]
        crowds = centre_crowding(architecture, outputs, counts, task.keep, window, negative)
        model = CentreReference(architecture == "cbow", window, negative, task.keep, outputs, crowds)
        title = f"{architecture} {loss[:12]} {size} {window} {negative} {name}"
        passed &= _compare(title, task.corpus, replica, model, size, 1e-4)
    return passed


def search_rows(data: Path, short: bool) -> bool:
    """Exact search on the GPU: the CPU's values by every metric, and questions a second on a million rows."""
    gpu, draw = arrays_on("cuda"), np.random.default_rng(0)
    here = Rows.of(draw.standard_normal((SHORT_ROWS, 100), np.float32))
    there = Rows(gpu.put(here.vectors), gpu.put(here.lengths), gpu)
    row("metric", "worst error", "other rows")
    passed = True
    for metric in metrics.METRICS:
        queries = np.asarray(here.vectors[:500])
        (ids, values), (found, on_gpu) = (search.top_k(rows, queries, 10, metric) for rows in (here, there))
        error = float(np.max(np.abs(on_gpu - values) / (1e-4 + np.abs(values))))
        row(metric, error, float((ids != found).mean()))
        passed &= error < 1e-3 and bool((ids != found).mean() < 0.01)
    rows = SHORT_ROWS if short else 1_000_000
    large = Rows.of(draw.standard_normal((rows, 300), np.float32))
    there = Rows(gpu.put(large.vectors), gpu.put(large.lengths), gpu)
    row(f"{rows:,} x 300, 10,000 questions", "questions/s")
    for _ in range(3):
        started = time.perf_counter()
        search.top_k(there, np.resize(large.vectors[:1000], (10_000, 300)), 10)
        row("", 10_000 / (time.perf_counter() - started))
    return passed


def _corpus(lengths: list[int]) -> EncodedText:
    """Sentences of these lengths."""
    counts, offsets = np.arange(WORDS, 0, -1), np.cumsum([0, *lengths]).astype(np.int64)
    ids = np.random.default_rng(4).choice(WORDS, offsets[-1], p=counts / counts.sum()).astype(np.int32)
    return EncodedText(ids, offsets, [f"w{i}" for i in range(WORDS)], counts)


def _compare(title: str, corpus: EncodedText, replica: DeviceModel, model: Any, size: int, bound: float) -> bool:
    """Whether a replica trains as the model does; a row with how far apart they end."""
    random = np.random.default_rng(4)
    start = [random.normal(0, size**-0.5, (WORDS, size)).astype(np.float32) for _matrix in "01"]
    for matrix, values in zip(("syn0", "syn1"), start, strict=True):
        replica.write_rows(matrix, 0, values)
    exact: list[npt.NDArray[np.float64]] = [values.astype(np.float64) for values in start]
    expected = model.train(corpus.ids, corpus.offsets, *exact, STEP_FROM, STEP_TO, KEY)
    result = replica.train(corpus.ids, corpus.offsets, STEP_FROM, STEP_TO, KEY)
    found = [replica.read_rows(matrix, 0, WORDS) for matrix in ("syn0", "syn1")]
    errors = [
        float(np.linalg.norm(f - e) / (np.linalg.norm(e - s) + 1e-2 * np.linalg.norm(s)))
        for f, e, s in zip(found, exact, start, strict=True)
    ]
    loss = abs(result[2] - expected[2]) / max(1e-9, abs(expected[2]))
    row(title, *errors, loss, bound)
    counted = (result[0], result[1], result[3]) == (expected[0], expected[1], expected[3])
    if not counted:
        row("  counted otherwise", str(result), str(expected))
    return counted and max(*errors, loss) < bound


CHECKS: dict[str, Callable[[Path, bool], bool]] = {
    "parity": parity,
    "centres": centres,
    "sanitizer": parity,
    "search_rows": search_rows,
}
