"""Measures training on a GPU in one call of a few minutes: correctness first, each table written once it is known.

Needs numpy, pyarrow, numba and cupy, and no Spark. The corpus comes from a run with --keep-work, packed so that it
travels well:

    ./spark-submit.sh jobs/train.py --input TEXT --output out/bench --max-iter 1 --keep-work
    .venv/bin/python bench/gpu.py pack --model out/bench --analogies questions-words.txt --pairs ws353.txt
    .venv/bin/python bench/gpu.py run

Each check is a process of its own with its own time limit. Where one that is about correctness fails, those about
quality and speed are left out. The results go to bench/results/gpu.md, with date, card and driver.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from job import ROOT, say

DATA = ROOT / "out" / "gpu"
RESULTS = ROOT / "bench" / "results" / "gpu.md"
TOOLS = ("memcheck", "racecheck", "synccheck")


@dataclass(frozen=True)
class Check:
    """A part of the measurement."""

    name: str
    about: str
    seconds: int  # at most
    must_pass: bool = False  # else all further checks are left out


CHECKS = (
    Check("card", "the card, its driver and the compiler", 60, must_pass=True),
    Check("parity", "a block's tiles against the numpy model, element by element", 240, must_pass=True),
    Check("centres", "the same for CBOW and hierarchical softmax", 240, must_pass=True),
    Check("sanitizer", "the first of these under compute-sanitizer: memory and races", 300, must_pass=True),
    Check("search_rows", "exact search of vectors: the CPU's answers, and its speed", 240),
    Check("ceilings", "what the card's memory does at most", 60),
    Check("quality", "English: the GPU against the CPU kernel, mean of 3 seeds", 600),
    Check("blocks", "English: quality and speed by words in flight and tile", 400),
    Check("divergence", "10 epochs on small and on lopsided corpora", 120),
    Check("tuning", "speed by layout", 240),
    Check("throughput", "words a second on a Zipf corpus of 1 M words and on English", 300),
    Check("memory", "20 M words x 300", 240),
)


def run_check(check: Check, data: Path, short: bool) -> tuple[bool, str, float]:
    """Whether it passed, what it printed, and how long it took."""
    started, passed, printed, to_run = time.perf_counter(), True, "", commands(check, data, short)
    if not to_run:
        return True, "compute-sanitizer is not on the PATH: not run", 0.0
    for command in to_run:
        try:
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=started + check.seconds - time.perf_counter(),
                cwd=ROOT,
            )
            passed, shown = done.returncode == 0, done.stdout
        except subprocess.TimeoutExpired as e:
            passed, shown = False, (e.stdout or b"") + f"\nstopped after {check.seconds} s".encode()
        printed += shown.decode(errors="replace")
        if not passed:
            break
    return passed, printed.strip(), time.perf_counter() - started


def commands(check: Check, data: Path, short: bool) -> list[list[str]]:
    """What runs a check: itself in a process of its own, the sanitizer's once by each tool, none where it is not
    there.
    """
    command = [sys.executable, __file__, "check", check.name, "--data", str(data)]
    if check.name != "sanitizer":
        return [[*command, *(["--short"] if short else [])]]
    found = shutil.which("compute-sanitizer")
    return [[found, "--tool", tool, "--error-exitcode", "9", *command, "--short"] for tool in TOOLS if found]


def run(args: argparse.Namespace) -> int:
    """Run the checks one after another; the status is 1 where one failed."""
    RESULTS.parent.mkdir(exist_ok=True)
    failed = False
    with RESULTS.open("a", encoding="utf-8") as file:

        def write(text: str) -> None:
            file.write(text)
            file.flush()
            print(text, end="", flush=True)

        write(f"\n# {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC\n")
        for check in CHECKS:
            if args.only and check.name not in args.only:
                continue
            say(f"{check.name}: {check.about}, at most {check.seconds} s")
            passed, printed, seconds = run_check(check, args.data, args.short)
            verdict = "" if passed else "FAILED: "
            write(f"\n## {check.name}: {verdict}{check.about} ({seconds:.0f} s)\n\n```\n{printed}\n```\n")
            failed |= not passed
            if not passed and check.must_pass and not args.go_on:
                write("\nAll further checks are left out.\n")
                break
    return int(failed)


def check(args: argparse.Namespace) -> int:
    """Run one check in this process."""
    import gpu_checks
    import gpu_parity

    from w2v_spark.errors import W2VError

    try:
        return int(not (gpu_parity.CHECKS | gpu_checks.CHECKS)[args.name](args.data, args.short))
    except W2VError as e:
        print(f"error: {e}")
        return 1


def pack(args: argparse.Namespace) -> int:
    """Write an encoded corpus as compressed arrays, and the test sets beside it."""
    from encoded import EncodedText

    args.data.mkdir(parents=True, exist_ok=True)
    EncodedText.of_run(args.model).pack(args.data)
    for given, name in ((args.analogies, "analogies.txt"), (args.pairs, "pairs.txt")):
        shutil.copyfile(given, args.data / name)
    size = sum(f.stat().st_size for f in args.data.iterdir())
    say(f"packed {args.model} into {args.data}: {size / 1e6:.1f} MB")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    packing = commands.add_parser("pack", help="write the corpus of a run with --keep-work as arrays")
    packing.add_argument("--model", required=True, help="output of a run with --keep-work")
    packing.add_argument("--analogies", type=Path, required=True)
    packing.add_argument("--pairs", type=Path, required=True)
    packing.set_defaults(command=pack)
    running = commands.add_parser("run", help="run the checks")
    running.add_argument("--only", nargs="+", choices=[c.name for c in CHECKS])
    running.add_argument("--go-on", action="store_true", help="even where a check about correctness fails")
    running.set_defaults(command=run)
    checking = commands.add_parser("check", help="run one check in this process")
    checking.add_argument("name", choices=[c.name for c in CHECKS])
    checking.set_defaults(command=check)
    for command in (packing, running, checking):
        command.add_argument("--data", type=Path, default=DATA, help="where the packed corpus lies")
    for command in (running, checking):
        command.add_argument("--short", action="store_true", help="little of everything, to try the checks themselves")
    args = parser.parse_args()
    return int(args.command(args))


if __name__ == "__main__":
    sys.exit(main())
