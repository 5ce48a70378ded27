"""What `--plan` tells, on a cluster and on one machine, for one replica and for several."""

from __future__ import annotations

import subprocess
import sys

from conftest import ROOT

from w2v_spark.params import Params
from w2v_spark.spark.plan import Plan, size_in_words

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
                 spark.executor.memoryOverhead=13608m, or as much of the machine left free:
                 2 replicas of 2.9 GB, 14 more workers of 500 MB, and 700 MB for Java

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
  Python  670 MB: 1 replica of 670 MB
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
    # local mode starts as many as there are cores, whatever their threads
    assert side_by_side(32, 4, 16, local=True) == 16


def test_the_numbers() -> None:
    plan = Plan(PARAMS, 1000, 10, executors=1, cores=16, local=False)
    assert plan.model_bytes == 2 * 4 * 1000 * 300
    # a row in memory is padded to 304 numbers
    assert plan.replica_bytes == 1000 * (2 * 4 * 304 + 12 + 2 * 8) + 600 * MB
    assert plan.python_bytes == 2 * plan.replica_bytes + 14 * 500 * MB
    assert plan.shuffle_bytes == 4 * plan.model_bytes // 2 and plan.read_bytes == 9 * plan.model_bytes
    assert [size_in_words(n) for n in (0, 5, 1023, 1024, 99 * MB, 1.5 * 2**40)] == [
        "nothing", "5 bytes", "1023 bytes", "1.0 KB", "99 MB", "1.5 TB",
    ]  # fmt: skip


def test_a_driver_loads_no_compiler() -> None:
    code = (
        "import sys; import w2v_spark.spark.fit; from w2v_spark.params import Params; "
        "from w2v_spark.spark.plan import Plan; Plan(Params(), 10, 10, 1, 1, True).line(); "
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_replicas_that_merge_directly_hold_the_model_twice_and_shuffle_nothing() -> None:
    plan = Plan(PARAMS.replace(exchange="direct"), 1_000_000, 10**9, executors=4, cores=16, local=False)
    storage = Plan(PARAMS, 1_000_000, 10**9, executors=4, cores=16, local=False)
    assert plan.replica_bytes - storage.replica_bytes == plan.model_bytes
    assert plan.read_bytes == 4 * plan.model_bytes
    assert "through the shuffle                        nothing             nothing" in told(plan)
