"""Vectors of things that are no words: walks on a graph are sentences, its nodes the words (DeepWalk, Perozzi et al.
2014; item2vec, Barkan and Koenigstein 2016).

Draws a graph with planted communities, walks on it, trains on the walks, and tells how many of a node's nearest
neighbours are of its community. Your own items: a DataFrame with a column of array<string>, and the same parameters.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

try:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    import w2v_spark
    from w2v_spark.cli_common import guarded
    from w2v_spark.errors import ParamError
    from w2v_spark.params import specs
    from w2v_spark.spark.session import own_session
except ModuleNotFoundError as e:
    sys.exit(f"error: {e}: run it with .venv/bin/python, which ./spark-submit.sh makes")

Ints = npt.NDArray[np.int64]
_LARGEST_WINDOW = int(specs()["window_size"].high or 0)
# name, the least that makes sense, default, help
_NUMBERS = (
    ("nodes", 2, 500, "nodes of the graph"),
    ("communities", 1, 10, "communities, of equal size"),
    ("walks", 1, 10, "walks from each node"),
    ("walk-length", 2, 20, "nodes of a walk"),
    ("epochs", 1, 5, "passes over the walks"),
    ("seed", 0, 1, "seed of graph, walks and training"),
)


@dataclass(frozen=True)
class Graph:
    """An undirected graph: the neighbours of node i are neighbours[starts[i] : starts[i + 1]]."""

    starts: Ints
    neighbours: Ints


def planted_communities(
    nodes: int, communities: int, inside: int, outside: int, draw: np.random.Generator
) -> tuple[Graph, Ints]:
    """A graph, and the community of each node, int64[nodes]: every node draws `inside` neighbours in its community and
    `outside` anywhere.
    """
    size = nodes // communities
    community = np.arange(size * communities) // size
    source = np.arange(len(community))
    near = community[:, None] * size + draw.integers(0, size, (len(source), inside))
    far = draw.integers(0, len(source), (len(source), outside))
    target = np.concatenate([near, far], axis=1)
    one, other = np.repeat(source, inside + outside), target.ravel()
    ends, neighbours = np.concatenate([one, other]), np.concatenate([other, one])
    order = np.argsort(ends, kind="stable")
    return Graph(np.searchsorted(ends[order], np.arange(len(source) + 1)), neighbours[order]), community


def random_walks(graph: Graph, walks: int, length: int, draw: np.random.Generator) -> Ints:
    """So many walks from each node, int64[nodes * walks, length]: each step goes to any neighbour, all alike."""
    degrees, at = np.diff(graph.starts), np.tile(np.arange(len(graph.starts) - 1), walks)
    steps = [at]
    for _ in range(length - 1):
        at = graph.neighbours[graph.starts[at] + (draw.random(len(at)) * degrees[at]).astype(np.int64)]
        steps.append(at)
    return np.stack(steps, axis=1)


def as_table(walks: Ints) -> pa.Table:
    """walk: list<string>, a row for each walk, its nodes named n0, n1, ..."""
    names = pa.array([f"n{i}" for i in range(int(walks.max()) + 1)])
    offsets = pa.array(np.arange(len(walks) + 1, dtype=np.int32) * walks.shape[1])
    return pa.table({"walk": pa.ListArray.from_arrays(offsets, names.take(pa.array(walks.ravel())))})


def share_of_own(vectors: w2v_spark.Vectors, community: Ints, near: int) -> float:
    """The share of nodes among the `near` nearest neighbours of each that are of its community."""
    words = list(vectors.index_to_key)
    found = vectors.most_similar_each(words, topn=near)
    own = community[[int(word[1:]) for word in words]]
    others = np.array([[community[int(other[1:])] for other, _ in answer] for answer in found])
    return float((others == own[:, None]).mean())


def main(argv: list[str] | None = None) -> int:
    """What the command does; its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--output", default="out/walks", help="where the vectors go; default out/walks")
    for name, _, default, text in _NUMBERS:
        parser.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{text}; default {default:,}")
    parser.add_argument("--overwrite", action="store_true", help="replace a finished model in the output")
    return guarded(run, parser.parse_args(argv))


def check(args: argparse.Namespace) -> None:
    """Refuse numbers of which no graph or no walk comes."""
    for name, least, _, _ in _NUMBERS:
        value = getattr(args, name.replace("-", "_"))
        if value < least:
            raise ParamError(f"--{name} must be at least {least}, got {value}")
    if args.nodes < args.communities:
        raise ParamError(
            f"--nodes must be at least --communities, a node for each of {args.communities:,}; got {args.nodes:,}: "
            "give more --nodes or fewer --communities"
        )


def run(args: argparse.Namespace) -> int:
    """Draw, walk, train, tell."""
    check(args)
    draw = np.random.default_rng(args.seed)
    graph, community = planted_communities(args.nodes, args.communities, inside=8, outside=2, draw=draw)
    walks = random_walks(graph, args.walks, args.walk_length, draw)
    print(f"{len(walks):,} walks of {args.walk_length} nodes on a graph of {len(community):,}")
    if args.walk_length - 1 > _LARGEST_WINDOW:
        print(f"a walk is longer than the window: nodes more than {_LARGEST_WINDOW} steps apart are not paired")
    with own_session() as spark:
        trained = w2v_spark.train(
            spark.createDataFrame(as_table(walks)),
            args.output,
            overwrite=args.overwrite,
            window_size=min(_LARGEST_WINDOW, max(1, args.walk_length - 1)),
            min_count=1,  # an item that is seen once is an item
            sample=0.0,  # and a frequent one is no stop word
            noise_exponent=-0.5,  # rare items as negatives, as Caselles-Dupré et al. 2018 found best for items
            vector_size=32,
            max_iter=args.epochs,
            seed=args.seed,
        )
        share = share_of_own(trained.wv, community, near=10)
    print(
        f"of the 10 nearest neighbours {100 * share:.1f} % are of the same community, by chance {_chance(args):.1f} %"
    )
    return 0


def _chance(args: argparse.Namespace) -> float:
    return 100 / float(args.communities)


if __name__ == "__main__":
    sys.exit(main())
