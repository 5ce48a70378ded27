"""Replicas that live on from merge to merge exchange what they changed with each other, by Arrow Flight.

At each sync every replica owns some blocks of rows. It fetches the others' changes of these, folds them in the order of
the replicas, and the others fetch the merged rows from it: each replica's changes travel once and so do the merged
rows, and nothing waits for a disk.

    GET changes of sync S, owner O  -> of each block of O, in order: which rows, by how much (CHANGE_SCHEMA)
    GET merged  of sync S, owner O  -> each block of O, in order: all its rows

Every request shows the run's token, and waits until the replica that is asked has come so far.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import flight

from w2v_spark.array_types import Floats
from w2v_spark.errors import ExchangeError, one_line
from w2v_spark.threads import in_threads
from w2v_spark.training.merge import Change, fold
from w2v_spark.training.replica import ModelRows
from w2v_spark.training.sequential import Weights
from w2v_spark.training.shard import change_of
from w2v_spark.workdir.blocks import BASE, CHANGE_SCHEMA, MATRICES, change_batch, rows_per_block

# puts a word before all replicas, and gives everyone's in the order of their numbers
Gather = Callable[[str], list[str]]

_TOKEN = "w2v-token"
# a request is not worth fewer rows
_FEWEST_ROWS = 64
# a replica that gives up stays so long to say why; the others may not ask before they have trained their stretch
_LAST_WORDS_SECONDS = 3.0
# replicas are of one cluster, and gRPC would send what they say to the proxy of http_proxy, which is for the world
_CHANNEL = [("grpc.enable_http_proxy", 0)]


class _Rows(NamedTuple):
    """A block: rows of one matrix."""

    matrix: str
    first: int
    stop: int


class _Phase(Enum):
    """What a replica has done at a sync, in this order."""

    TRAINED = auto()
    MERGED = auto()  # its own blocks
    FETCHED = auto()  # by all others


class Exchange:
    """One replica's side: its model, and `base`, syn0 and syn1 as all replicas last agreed on them, float32[words,
    vector_size]; `counts` are those of training/shard.py; `threads` merge.
    """

    def __init__(
        self,
        replica: ModelRows,
        base: dict[str, Floats],
        counts: npt.NDArray[np.int64] | None,
        rule: str,
        number: int,
        replicas: int,
        threads: int,
    ):
        self.replica, self.base, self.counts, self.rule = replica, base, counts, rule
        self.number, self.replicas, self._threads = number, replicas, threads
        self.bytes_sent = 0
        self._weights: Weights | None = None
        self._size = base[MATRICES[0]].shape[1]
        self._all_blocks = _blocks(len(base[MATRICES[0]]), self._size, replicas)
        self._peers: dict[int, Callable[[flight.Ticket], Iterator[Any]]] = {}
        self._moved = threading.Condition()
        # for how many syncs this replica has come so far
        self._syncs = dict.fromkeys(_Phase, 0)
        self._fetching = replicas - 1
        self._failure, self._told = "", 0

    @contextmanager
    def meet(self, host: str, token: str, gather: Gather) -> Iterator[None]:
        """Serve the others on a free port of `host`, and find them; at the end wait until all have what was merged
        last.
        """
        options = flight.FlightCallOptions(headers=[(_TOKEN.encode(), token.encode())])
        try:
            server = _Server(self, host, token)
        except (pa.ArrowException, OSError) as e:
            raise ExchangeError(
                f"replica {self.number} cannot listen on {host}, as its executor is called: let that name lead to the "
                "machine itself (SPARK_LOCAL_IP or SPARK_LOCAL_HOSTNAME there), or give --exchange storage"
            ) from e
        try:
            with ExitStack() as stack:
                for peer, address in enumerate(gather(f"{host}:{server.port}")):
                    if peer != self.number:
                        client = stack.enter_context(flight.FlightClient(f"grpc://{address}", generic_options=_CHANNEL))
                        self._peers[peer] = partial(client.do_get, options=options)
                yield
                self._wait_for(_Phase.FETCHED, self._syncs[_Phase.TRAINED])
        except BaseException as e:
            self._fail(str(e) or type(e).__name__)
            raise
        finally:
            server.shutdown()

    def merge(self, weights: Weights | None) -> None:
        """Merge both matrices with what the others have made of them; `weights` is that of the stretch that this
        replica has trained.
        """
        self._weights = weights
        try:
            sync = self._move_on(_Phase.TRAINED)
            self._fold_own(sync)
            self._move_on(_Phase.MERGED)
            # each asks another one first
            owners = ((self.number + i) % self.replicas for i in range(1, self.replicas))
            for _ in in_threads(partial(self._take_over, sync), owners, self._threads):
                pass
        except (flight.FlightError, pa.ArrowException, OSError) as e:
            raise ExchangeError(_problem(e)) from e
        if self.counts is not None:
            self.counts[:] = 0

    def changes(self, sync: int, owner: int) -> Iterator[pa.RecordBatch]:
        """What this replica made of another's blocks, once it has trained so far."""
        self._wait_for(_Phase.TRAINED, sync)
        for i, block in enumerate(self._blocks(owner)):
            change = self._change(block)
            yield self._sent(change_batch(block.matrix, i, self.number, change.values, change.rows, change.counts))

    def merged(self, sync: int, owner: int) -> Iterator[pa.RecordBatch]:
        """The blocks that this replica owns, once it has folded them. They stay as they are until all others have
        fetched them, because the next fold waits for everyone's changes.
        """
        self._wait_for(_Phase.MERGED, sync)
        for i, block in enumerate(self._blocks(owner)):
            yield self._sent(change_batch(block.matrix, i, BASE, self._base(block)))
        with self._moved:
            self._fetching -= 1
            if not self._fetching:
                self._fetching = self.replicas - 1
                self._syncs[_Phase.FETCHED] = sync
                self._moved.notify_all()

    def _fold_own(self, sync: int) -> None:
        """Fold all replicas' changes into the blocks that this one owns."""
        streams = {peer: self._get("changes", peer, sync, self.number) for peer in self._peers}

        def received() -> Iterator[tuple[_Rows, dict[int, Change]]]:
            for block in self._blocks(self.number):
                yield block, {peer: _change_in(next(stream), self._size) for peer, stream in streams.items()}

        def fold_block(item: tuple[_Rows, dict[int, Change]]) -> None:
            block, changes = item
            in_order = (changes.get(peer) or self._change(block) for peer in range(self.replicas))
            self._set(block, fold(self.rule, self._base(block), in_order, self.replicas))

        for _ in in_threads(fold_block, received(), self._threads):
            pass
        for stream in streams.values():
            _to_the_end(stream)

    def _take_over(self, sync: int, owner: int) -> None:
        """Take over the blocks that another has folded."""
        stream = self._get("merged", owner, sync, owner)
        for block in self._blocks(owner):
            self._set(block, np.frombuffer(next(stream)["values"][0].as_buffer(), "<f4").reshape(-1, self._size))
        _to_the_end(stream)

    def _set(self, block: _Rows, rows: Floats) -> None:
        """Go on from merged rows."""
        self._base(block)[:] = rows
        self.replica.write(block.matrix, block.first, rows)

    def _blocks(self, owner: int) -> list[_Rows]:
        """The blocks that a replica owns."""
        return self._all_blocks[owner :: self.replicas]

    def _base(self, block: _Rows) -> Floats:
        return self.base[block.matrix][block.first : block.stop]

    def _change(self, block: _Rows) -> Change:
        return change_of(self.replica.rows, block.matrix, block.first, self._base(block), self.counts, self._weights)

    def _get(self, what: str, peer: int, sync: int, owner: int) -> Iterator[pa.RecordBatch]:
        ticket = flight.Ticket(json.dumps({"what": what, "sync": sync, "owner": owner}).encode())
        return (chunk.data for chunk in self._peers[peer](ticket))

    def _sent(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        with self._moved:
            self.bytes_sent += batch.nbytes
        return batch

    def _move_on(self, phase: _Phase) -> int:
        """Say that this replica has trained, or merged, once more; the number of the sync."""
        with self._moved:
            self._syncs[phase] += 1
            self._moved.notify_all()
            return self._syncs[phase]

    def _wait_for(self, phase: _Phase, sync: int) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._syncs[phase] >= sync or self._failure)
            if self._failure:
                self._told += 1
                self._moved.notify_all()
                raise flight.FlightServerError(self._failure)

    def _fail(self, problem: str) -> None:
        """Tell all others that this replica gives up, and why; a problem that came from another replica is passed on
        as it is.
        """
        with self._moved:
            self._failure = problem if _GAVE_UP in problem else f"replica {self.number} {_GAVE_UP}: {problem}"
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._told >= self.replicas - 1, _LAST_WORDS_SECONDS)


def _blocks(rows: int, vector_size: int, replicas: int) -> list[_Rows]:
    """The blocks of both matrices, so many that every replica has some where rows are few, too."""
    step = min(rows_per_block(vector_size), max(_FEWEST_ROWS, -(-2 * rows // replicas)))
    return [_Rows(m, i, min(i + step, rows)) for m in MATRICES for i in range(0, rows, step)]


class _Server(flight.FlightServerBase):  # type: ignore[misc]
    """Answers the requests of other replicas that know the token."""

    def __init__(self, exchange: Exchange, host: str, token: str):
        super().__init__(f"grpc://{host}:0", middleware={"gate": _Gate(token)})
        self._answers = {"changes": exchange.changes, "merged": exchange.merged}

    def do_get(self, context: Any, ticket: flight.Ticket) -> flight.FlightDataStream:
        asked = json.loads(ticket.ticket)
        batches = self._answers[asked["what"]](int(asked["sync"]), int(asked["owner"]))
        return flight.GeneratorStream(CHANGE_SCHEMA, batches)


class _Gate(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Lets in who shows the run's token."""

    def __init__(self, token: str):
        self._token = token

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> None:
        if not hmac.compare_digest("".join(headers.get(_TOKEN, [])).encode(), self._token.encode()):
            raise flight.FlightUnauthenticatedError("this port is for the replicas of one run, which know its token")


_GAVE_UP = "gave up"


def _change_in(batch: pa.RecordBatch, vector_size: int) -> Change:
    rows, values, counts = (batch[name][0].as_buffer() for name in ("rows", "values", "counts"))
    return Change.of_buffers(rows, values, counts, vector_size)


def _to_the_end(stream: Iterator[pa.RecordBatch]) -> None:
    """Let the other side finish its answer, which has nothing more in it."""
    for batch in stream:
        raise ExchangeError(f"another replica sent {batch.num_rows} rows more than were asked for")


def _problem(error: Exception) -> str:
    """What another replica said, or what became of it, in one line."""
    said = one_line(error).partition(". gRPC client debug context")[0].partition(". Detail:")[0]
    return said if _GAVE_UP in said else f"another replica cannot be reached, or was lost: {said[:300]}"
