"""What `--plan` tells, on a cluster and on one machine, for one replica and for several."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
from conftest import ROOT

from w2v_spark.params import Params
from w2v_spark.spark.plan import Plan, size_in_words
from w2v_spark.training.replica import Sampling

MB = 1 << 20
PARAMS = Params(vector_size=300, num_replicas=4, threads_per_replica=8, rounds_per_epoch=24)


def told(plan: Plan) -> str:
    """The text after the parameters."""
    return plan.text().split("\n\n", 2)[2]


def test_a_cluster() -> None:
    plan = Plan(PARAMS, 1_000_000, 3_000_000_000, executors=4, cores=16, local=False)
    assert plan.line() == (
        "train 1,000,000 words x 300 on 3,000,000,000 words x 5 epochs: 4 replicas of 8 threads on 4 executors, "
        "120 rounds"
    )
    assert plan.text().startswith(f"{plan.line()}\n\nparameters:\n  architecture = skip_gram\n  loss = ")
    assert (
        told(plan)
        == """\
memory:
  driver         spark.driver.memory=1g is enough: it holds no model and no words
  each executor  spark.executor.memory=2g is enough, 3g where documents reach 100 MB
                 spark.executor.memoryOverhead=13875m, or as much of the machine left free:
                 2 replicas of 3.0 GB, 14 more workers of 500 MB, and 700 MB for Java

traffic (the model has 2.2 GB):              a round       the whole run
  read from the output                         20 GB              2.4 TB
  through the shuffle                 at most 4.5 GB      at most 536 GB
  written to the output                       2.2 GB              268 GB"""
    )


def test_one_replica_on_this_machine() -> None:
    plan = Plan(
        PARAMS.replace(num_replicas=1, rounds_per_epoch=1), 30_000, 32_400_000, executors=1, cores=2, local=True
    )
    assert (
        told(plan)
        == """\
memory of this machine:
  Python  739 MB: 1 replica of 739 MB
  Java    spark.driver.memory=2g, which ./spark-submit.sh sets, holds documents of up to 100 MB

traffic (the model has 69 MB):               a round       the whole run
  read from the output                         69 MB              343 MB
  through the shuffle                        nothing             nothing
  written to the output                        69 MB              343 MB"""
    )


def test_how_many_replicas_are_in_memory_at_once() -> None:
    def side_by_side(replicas: int, threads: int, cores: int, local: bool) -> int:
        params = PARAMS.replace(num_replicas=replicas, threads_per_replica=threads)
        return Plan(params, 10, 10, 1, cores, local).side_by_side

    assert side_by_side(32, 4, 16, local=False) == 4
    assert side_by_side(2, 4, 16, local=False) == 2
    assert side_by_side(2, 32, 16, local=False) == 1
    # with dynamic allocation Spark packs replicas by spark.task.cpus, whatever their threads
    packed = PARAMS.replace(num_replicas=32, threads_per_replica=4)
    assert Plan(packed, 10, 10, 1, 16, local=False, task_cores=1).side_by_side == 16
    # local mode starts as many as there are cores, whatever their threads
    assert side_by_side(32, 4, 16, local=True) == 16


def test_a_gpu_trains_one_replica_at_a_time() -> None:
    def side_by_side(replicas: int, gpus: int, cores: int, local: bool) -> int:
        params = PARAMS.replace(num_replicas=replicas, threads_per_replica=1, device="cuda")
        return Plan(params, 10, 10, 8, cores, local, gpus).side_by_side

    assert side_by_side(8, 1, 16, local=False) == 1
    assert side_by_side(32, 4, 16, local=False) == 4
    assert side_by_side(2, 4, 16, local=False) == 2
    # each of Spark's tasks has a core at least
    assert side_by_side(32, 4, 2, local=False) == 2
    # local mode deals the GPUs out among all tasks that it starts
    assert side_by_side(8, 1, 4, local=True) == 4


def test_a_gpu_has_the_model_in_its_own_memory() -> None:
    def of_a_word(exchange: str) -> int:
        params = PARAMS.replace(device="cuda", exchange=exchange)
        one, none = (Plan(params, words, 10, executors=4, cores=16, local=False) for words in (10**6 + 1, 10**6))
        return one.replica_bytes - none.replica_bytes

    # counts, keep, the alias table and weights; what all replicas last agreed on is the host's
    assert of_a_word("storage") == 8 + 4 + 8 + 16
    assert of_a_word("direct") == of_a_word("storage") + 2 * 4 * 300
    # five pieces of 64 MB
    assert Plan(PARAMS.replace(device="cuda"), 0, 10, 4, 16, local=False).replica_bytes == (600 + 320) * MB


def test_the_tables_are_those_that_a_replica_holds() -> None:
    """Counts that fall as words' do, and no fewer bytes in the plan than in the tables, nor half as many again."""
    words = 50_000
    counts = (1e9 / np.arange(1, words + 1)).astype(np.int64)
    for loss, device in itertools.product(("negative_sampling", "hierarchical_softmax"), ("cpu", "cuda")):
        params = PARAMS.replace(loss=loss, device=device, num_replicas=1, threads_per_replica=1)
        sampling = Sampling.of_counts(counts, params)
        held = sum(table.nbytes for table in (sampling.counts, sampling.keep, *sampling.outputs.tables))
        if (loss, device) == ("hierarchical_softmax", "cuda"):
            held += 2 * 8 * len(sampling.outputs.tables[1])  # how crowded nodes are is counted from copies
        plan, none = (Plan(params, n, 10, executors=1, cores=1, local=True) for n in (words, 0))
        planned = plan.replica_bytes - none.replica_bytes - 2 * 4 * 304 * words * (device == "cpu")
        assert held <= planned < 1.5 * held
    params = PARAMS.replace(loss="softmax", num_replicas=1, threads_per_replica=1)
    softmax, none = (Plan(params, n, 10, 1, 1, True) for n in (1, 0))
    assert softmax.replica_bytes - none.replica_bytes == 2 * 4 * 304 + 8 + 4


def test_what_a_merge_weighs_by_is_counted() -> None:
    def of_a_word(rule: str, replicas: int = 4) -> int:
        params = PARAMS.replace(merge_rule=rule, num_replicas=replicas)
        one, none = (Plan(params, words, 10, executors=4, cores=16, local=False) for words in (1, 0))
        return one.replica_bytes - none.replica_bytes

    least = of_a_word("mean")
    assert of_a_word("sequential") == least + 2 * 8 and of_a_word("sequential", 1) == least
    assert of_a_word("count_weighted") == least + 8


def test_the_numbers() -> None:
    plan = Plan(PARAMS, 1000, 10, executors=1, cores=16, local=False)
    assert plan.model_bytes == 2 * 4 * 1000 * 300
    # a row in memory is padded to 304 numbers; its eight threads may read all of so small a model at once
    assert plan.replica_bytes == 1000 * (2 * 4 * 304 + 20 + 2 * 8) + plan.model_bytes + 600 * MB
    large = Plan(PARAMS, 10**6, 10, executors=1, cores=16, local=False)
    assert large.replica_bytes == 10**6 * (2 * 4 * 304 + 20 + 2 * 8) + 7 * 18 * MB + 600 * MB
    assert plan.python_bytes == 2 * plan.replica_bytes + 14 * 500 * MB
    assert plan.shuffle_bytes == 4 * plan.model_bytes // 2 and plan.read_bytes == 9 * plan.model_bytes
    assert [size_in_words(n) for n in (0, 5, 1023, 1024, 99 * MB, 1.5 * 2**40)] == [
        "nothing", "5 bytes", "1023 bytes", "1.0 KB", "99 MB", "1.5 TB",
    ]  # fmt: skip


def test_a_driver_loads_no_compiler() -> None:
    code = (
        "import sys; import w2v_spark.spark.fit; from w2v_spark.params import Params; "
        "from w2v_spark.spark.plan import Plan; plan = Plan(Params(), 10, 10, 1, 1, True); plan.text(); "
        "plan.words_that_fit(plan.replica_bytes, 1); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_replicas_that_merge_directly_hold_the_model_twice_and_shuffle_nothing() -> None:
    # 2 * 8 + 1 blocks wait for the threads in half precision, and one is made whole, for each of the 3 others
    waiting = 3 * (17 + 2) * MB // 2
    plan = Plan(PARAMS.replace(exchange="direct"), 1_000_000, 10**9, executors=4, cores=16, local=False)
    storage = Plan(PARAMS, 1_000_000, 10**9, executors=4, cores=16, local=False)
    assert plan.replica_bytes - storage.replica_bytes == plan.model_bytes + waiting
    assert plan.read_bytes == 4 * plan.model_bytes
    assert "through the shuffle                        nothing             nothing" in told(plan)
    # blocks of small models are small
    many = Plan(PARAMS.replace(exchange="direct", num_replicas=1000), 1000, 10**9, 1000, 16, local=False)
    assert many.replica_bytes < storage.replica_bytes
