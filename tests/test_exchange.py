"""Replicas that exchange rows directly: merged as through storage, closed to strangers, failing together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from pyarrow import flight

from w2v_spark.array_types import Floats
from w2v_spark.errors import ExchangeError
from w2v_spark.training.exchange import Exchange, Gather
from w2v_spark.training.merge import fold
from w2v_spark.training.sequential import Weights
from w2v_spark.training.shard import change_of
from w2v_spark.workdir.blocks import MATRICES

WORDS, SIZE, REPLICAS = 300, 8, 5


@dataclass
class Matrices:
    """A replica that is only its rows."""

    syn: dict[str, Floats] = field(default_factory=dict)

    def rows(self, matrix: str, first: int, stop: int) -> Floats:
        return self.syn[matrix][first:stop]

    def write(self, matrix: str, first: int, rows: Floats) -> None:
        self.syn[matrix][first : first + len(rows)] = rows


def together(run: Callable[[int, Gather], None]) -> list[BaseException | None]:
    """What each replica, run in a thread of its own, raised."""
    said, barrier = [""] * REPLICAS, threading.Barrier(REPLICAS)

    def gather_of(number: int) -> Gather:
        def gather(word: str) -> list[str]:
            said[number] = word
            barrier.wait(30)
            return list(said)

        return gather

    with ThreadPoolExecutor(REPLICAS) as pool:
        futures = [pool.submit(run, number, gather_of(number)) for number in range(REPLICAS)]
        return [future.exception(60) for future in futures]


def start() -> dict[str, Floats]:
    random = np.random.default_rng(1)
    return {matrix: random.standard_normal((WORDS, SIZE)).astype(np.float32) for matrix in MATRICES}


def trained(number: int, sync: int, syn: dict[str, Floats]) -> None:
    """Move two thirds of the rows, as a replica would in a stretch of training."""
    random = np.random.default_rng([number, sync])
    for matrix in MATRICES:
        moved = random.random(WORDS) < 0.67
        syn[matrix][moved] += random.standard_normal((int(moved.sum()), SIZE)).astype(np.float32)


def weights_of(rule: str, sync: int) -> Weights | None:
    """Others in every stretch."""
    if rule != "sequential":
        return None
    random = np.random.default_rng(sync)
    axes = np.linalg.qr(random.standard_normal((SIZE, SIZE)))[0]
    of_each = {"terms": random.random(WORDS), "axes": axes, "rates": random.random(SIZE)}
    return Weights(REPLICAS, 1.0, **{name: dict.fromkeys(MATRICES, value) for name, value in of_each.items()})


@pytest.mark.parametrize("rule", ["sequential", "adasum", "mean"])
def test_every_replica_ends_with_the_rows_that_a_fold_in_their_order_gives(rule: str) -> None:
    syncs = 3
    ends: list[dict[str, Floats]] = [{}] * REPLICAS

    def run(number: int, gather: Gather) -> None:
        replica, base = Matrices(start()), start()
        exchange = Exchange(replica, base, None, rule, number, REPLICAS, 1 + number % 2)
        with exchange.meet("127.0.0.1", "secret", gather):
            for sync in range(syncs):
                trained(number, sync, replica.syn)
                exchange.merge(weights_of(rule, sync))
        assert all(np.array_equal(replica.syn[m], base[m]) for m in MATRICES)
        ends[number] = base

    assert together(run) == [None] * REPLICAS
    base, replicas = start(), [Matrices(start()) for _ in range(REPLICAS)]
    for sync in range(syncs):
        for number, replica in enumerate(replicas):
            trained(number, sync, replica.syn)
        for matrix in MATRICES:
            before = base[matrix].copy()
            weights = weights_of(rule, sync)
            changes = [change_of(replica.rows, matrix, 0, before, None, weights) for replica in replicas]
            base[matrix] = fold(rule, before, changes, REPLICAS)
            for replica in replicas:
                replica.write(matrix, 0, base[matrix])
    for end in ends:
        for matrix in MATRICES:
            np.testing.assert_array_equal(end[matrix], base[matrix])


def test_who_does_not_know_the_token_is_refused() -> None:
    refused: list[str] = []

    def run(number: int, gather: Gather) -> None:
        exchange = Exchange(Matrices(start()), start(), None, "mean", number, REPLICAS, 1)

        def listen(word: str) -> list[str]:
            if number == 0:
                for token in ("", "wrong"):
                    options = flight.FlightCallOptions(headers=[(b"w2v-token", token.encode())])
                    with flight.FlightClient(f"grpc://{word}") as client:
                        ticket = flight.Ticket(b'{"what": "changes", "sync": 0, "owner": 0}')
                        with pytest.raises(flight.FlightUnauthenticatedError) as info:
                            client.do_get(ticket, options).read_all()
                        refused.append(str(info.value))
            return gather(word)

        with exchange.meet("127.0.0.1", "secret", listen):
            exchange.merge(None)

    assert together(run) == [None] * REPLICAS
    assert len(refused) == 2
    assert all("this port is for the replicas of one run, which know its token" in text for text in refused)


def test_a_replica_that_gives_up_is_named_to_all_others() -> None:
    def run(number: int, gather: Gather) -> None:
        exchange = Exchange(Matrices(start()), start(), None, "mean", number, REPLICAS, 1)
        with exchange.meet("127.0.0.1", "secret", gather):
            exchange.merge(None)
            if number == 3:
                raise ValueError("no disk")
            exchange.merge(None)

    raised = together(run)
    assert isinstance(raised[3], ValueError)
    others = [e for number, e in enumerate(raised) if number != 3]
    assert all(isinstance(e, ExchangeError) for e in others)
    assert any("replica 3 gave up: no disk" in str(e) for e in others)


def test_replicas_do_not_speak_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    def run(number: int, gather: Gather) -> None:
        exchange = Exchange(Matrices(start()), start(), None, "mean", number, REPLICAS, 1)
        with exchange.meet("127.0.0.1", "secret", gather):
            exchange.merge(None)

    assert together(run) == [None] * REPLICAS


def test_a_host_that_is_not_this_machine_is_named() -> None:
    exchange = Exchange(Matrices(start()), start(), None, "mean", 1, REPLICAS, 1)
    with pytest.raises(ExchangeError) as error, exchange.meet("192.0.2.1", "secret", lambda word: [word]):
        pass
    assert str(error.value) == (
        "replica 1 cannot listen on 192.0.2.1, as its executor is called: let that name lead to the machine itself "
        "(SPARK_LOCAL_IP or SPARK_LOCAL_HOSTNAME there), or give --exchange storage"
    )
