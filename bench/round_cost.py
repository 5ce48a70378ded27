"""What a round costs beyond training, from the metrics that a run in local mode leaves in its output:

    ./spark-submit.sh jobs/train.py --input TEXT --output out/rounds --max-iter 1 --num-replicas 4
    .venv/bin/python bench/round_cost.py --output out/rounds

The cost of a round is its seconds less those that training took: the sum over replicas of seconds times threads,
divided by the cores. The line fitted to all rounds but the first, which compiles or loads kernels, is the answer.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import pyarrow.parquet as pq


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="output of a run in local mode")
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    args = parser.parse_args()
    rows = pq.read_table(f"{args.output}/metrics").to_pylist()
    rounds = sorted({row["round"] for row in rows})
    sent, seconds, trained = [], [], []
    for number in rounds:
        mine = [row for row in rows if row["round"] == number]
        sent.append(sum(row["bytes_sent"] for row in mine) / 1e9)
        seconds.append(mine[0]["seconds_round"])
        trained.append(sum(row["seconds_train"] * row["threads"] for row in mine) / args.cores)
    cost = np.array(seconds) - trained
    print(f"{len(rounds)} rounds of {len(rows) // len(rounds)} replicas")
    for name, values in (("GB sent", sent), ("seconds", seconds), ("of them training", trained), ("cost", cost)):
        low, middle, high = np.percentile(values[1:] if len(rounds) > 1 else values, [10, 50, 90])
        print(f"{name:17} median {middle:6.3f}, 10 % below {low:6.3f}, 10 % above {high:6.3f}")
    if len(rounds) > 3:
        slope, start = np.polyfit(sent[1:], cost[1:], 1)
        print(f"fitted: {start:.2f} s + {slope:.2f} s for each GB sent")
    print(f"total: {sum(seconds):.1f} s, of which training {sum(trained):.1f} s")


if __name__ == "__main__":
    main()
