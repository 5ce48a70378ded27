"""What a run costs, phase by phase, and what one of any size would:

    .venv/bin/python bench/scaling.py measure --output bench/results/scaling.json
    .venv/bin/python bench/scaling.py project --measured bench/results/scaling.json --output bench/results/scaling.md

`measure` writes texts of 1, 4 and 16 times --words by bench/corpus.py, trains on each with one executor and with two of
one core (local-cluster), merging through storage and directly, and keeps what each phase took: Spark's event log tells
the jobs, the run's metrics the rounds. `project` fits how each phase grows (least squares), and works out what runs of
--tokens would take on --executors. Machines are what the options say: what was measured had a disk and a network that
cost next to nothing, so the fit is the processors' part, and bytes by speed are the others'.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import job
from corpus import ZipfText
from phases import event_log
from scaling_model import TERMS, Cost, Fit, Setting, fit, project
from scaling_runs import Measured, Sizes, read_run

_EXCHANGES = {"storage": "through storage after every round", "direct": "directly"}

_NO_GPU = "No GPU was measured, so none is here: --gpu-words-per-second N works out GPUs that train N words a second."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="measure | project")
    _measure_arguments(commands.add_parser("measure", help="run jobs of several sizes, and keep what they took"))
    _project_arguments(commands.add_parser("project", help="fit, and work out what larger jobs would take"))
    args = parser.parse_args()
    if not args.output.parent.is_dir():
        parser.error(f"--output: there is no folder {args.output.parent}")
    args.run(args)
    return 0


def _measure_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--words", type=job.whole, default=2_000_000, metavar="N", help="of the smallest text (2e6)")
    parser.add_argument("--factors", nargs="+", type=int, default=[1, 4, 16], help="times that (1 4 16)")
    parser.add_argument(
        "--vocabularies", nargs="+", type=job.whole, default=[50_000, 500_000], metavar="N", help="(50000 500000)"
    )
    parser.add_argument("--executors", nargs="+", type=int, default=[1, 2], metavar="N", help="(1 2)")
    parser.add_argument("--exchanges", nargs="+", choices=_EXCHANGES, default=[*_EXCHANGES], help="(storage direct)")
    parser.add_argument("--vector-size", type=int, default=100, metavar="N", help="default 100")
    parser.add_argument("--rounds-per-epoch", type=int, default=4, metavar="N", help="default 4")
    parser.add_argument("--executor-memory", type=int, default=2048, metavar="MB", help="default 2048")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the figures go, as JSON")
    parser.add_argument("--scratch", metavar="DIR", help="where texts and models go for a while")
    parser.add_argument("--submit", default="./spark-submit.sh", metavar="COMMAND", help=job.SUBMIT_HELP)
    parser.set_defaults(run=measure)


def _project_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--measured", type=Path, required=True, metavar="FILE", help="what `measure` has written")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="where the report goes, as Markdown")
    number = parser.add_argument_group("the run")
    number.add_argument(
        "--tokens", nargs="+", type=job.whole, default=[10**11, 10**12], metavar="N", help="(1e11 1e12)"
    )
    number.add_argument("--vocabulary", type=job.whole, default=5_000_000, metavar="N", help="most words kept (5e6)")
    number.add_argument("--vector-size", type=int, default=300, metavar="N", help="default 300")
    number.add_argument("--epochs", type=int, default=1, metavar="N", help="default 1")
    number.add_argument("--min-count", type=int, default=5, metavar="N", help="default 5")
    number.add_argument("--word-bytes", type=float, default=6.0, metavar="B", help="bytes of text for a word (6)")
    number.add_argument(
        "--heaps",
        nargs=2,
        type=float,
        default=[44.0, 0.55],
        metavar=("K", "B"),
        help="N words of text have K N^B distinct ones (44 0.55)",
    )
    machines = parser.add_argument_group("the machines")
    machines.add_argument("--executors", type=int, default=32, metavar="N", help="each a replica (32)")
    machines.add_argument("--cores", type=int, default=16, metavar="N", help="of an executor (16)")
    machines.add_argument("--core-speed", type=float, default=1.0, metavar="X", help="times a measured one's (1)")
    machines.add_argument(
        "--network", type=float, default=1.25, metavar="GB/S", help="of an executor (1.25: 10 Gbit/s)"
    )
    machines.add_argument("--storage", type=float, default=0.5, metavar="GB/S", help="of an executor (0.5)")
    machines.add_argument("--task-bytes", type=float, default=128e6, metavar="B", help="of text for a task (128e6)")
    machines.add_argument(
        "--gpu-words-per-second",
        type=float,
        metavar="N",
        help="that a GPU trains, with one for each executor; none was measured, so without this no time is given",
    )
    parser.set_defaults(run=report)


def measure(args: argparse.Namespace) -> None:
    """All runs, written to the output after each."""
    for words, vocabulary in itertools.product((args.words * f for f in args.factors), args.vocabularies):
        try:
            ZipfText(words, vocabulary, at_least=1)
        except ValueError as e:
            sys.exit(f"error: {e}")
    job.set_up(args.submit)
    runs: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="w2v_spark-bench-", dir=args.scratch) as folder:
        scratch = Path(folder)
        for factor, vocabulary in itertools.product(args.factors, args.vocabularies):
            text = scratch / "text"
            of_text = {"--words": factor * args.words, "--vocabulary": vocabulary, "--output": text, "--at-least": 1}
            job.run_job(args.submit, [], ["bench/corpus.py", "--overwrite", *job.options(of_text)])
            if not runs:
                job.say("compiling kernels (not kept) ...")
                _train(args, scratch, factor * args.words, args.executors[0], "storage")
            for executors, exchange in _layouts(args):
                run = _train(args, scratch, factor * args.words, executors, exchange)
                runs.append(run)
                shown = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in run.seconds.items())
                job.say(
                    f"{factor * args.words:,} words of {vocabulary:,}, {executors} executors, {exchange}: {shown} s"
                )
                found = {"processor": job.processor(), "command": job.command_line(), "runs": [asdict(r) for r in runs]}
                args.output.write_text(json.dumps(found, indent=1) + "\n")


def _layouts(args: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Executors and ways to merge; a lone replica has but one way."""
    for executors in args.executors:
        yield from ((executors, exchange) for exchange in args.exchanges if executors > 1 or exchange == "storage")


def _train(args: argparse.Namespace, scratch: Path, words: int, executors: int, exchange: str) -> Measured:
    """One run on the text in scratch."""
    output, events = scratch / "model", scratch / "events"
    events.mkdir()
    conf = event_log(events) | {"spark.executor.memory": f"{args.executor_memory}m"}
    options = {
        "--input": scratch / "text",
        "--output": output,
        "--min-count": 1,
        "--vector-size": args.vector_size,
        "--max-iter": 1,
        "--num-replicas": executors,
        "--rounds-per-epoch": args.rounds_per_epoch,
        "--exchange": exchange,
    }
    master = ["--master", f"local-cluster[{executors},1,{args.executor_memory}]"]
    job.run_job(args.submit, [*master, *job.spark_options(conf)], ["jobs/train.py", *job.options(options)])
    (log,) = events.iterdir()
    run = read_run(output, log, words, executors, executors)
    shutil.rmtree(output)
    shutil.rmtree(events)
    return run


def report(args: argparse.Namespace) -> None:
    """Measurements, fits and projections as Markdown, on the terminal and in the output."""
    told = json.loads(args.measured.read_text())
    runs = [Measured(**{**run, "sizes": Sizes(**run["sizes"])}) for run in told["runs"]]
    fits = fit(runs)
    exchanges = sorted({run.sizes.exchange for run in runs}, reverse=True)
    projected = [(setting, project(fits, runs, setting)) for setting in _settings(args, exchanges)]
    parts = [
        "# What a run costs, and what a larger one would",
        f"    {told['command']}\n    {job.command_line()}",
        f"## Projected\n\n{_assumptions(args)}",
        job.markdown(_summary_rows(projected)),
        *([] if args.gpu_words_per_second else [_NO_GPU]),
        *(_projection(setting, costs) for setting, costs in projected),
        f"## Measured\n\n{told['processor']}; one core to an executor, vectors of {runs[0].sizes.vector_size}, one "
        "epoch. Seconds of each phase.",
        job.markdown(_measured_rows(runs)),
        "## Fitted\n\nSeconds for each unit, by least squares of relative errors, none below zero. Where a phase "
        "hardly takes any time, its error is large and does not matter.",
        job.markdown(_fit_rows(fits)),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    args.output.write_text(text, encoding="utf-8")


def _measured_rows(runs: Sequence[Measured]) -> list[list[str]]:
    head = ["words", "vocabulary", "executors", "merged", "rounds", "syncs", "GB sent", *TERMS]
    rows = [
        [f"{s.words:,}", f"{s.vocabulary:,}", str(s.executors), s.exchange, str(s.rounds), str(s.syncs)]
        + [f"{s.bytes_sent / 1e9:.2f}", *(f"{run.seconds[phase]:.1f}" for phase in TERMS)]
        for run in runs
        for s in [run.sizes]
    ]
    return [head, *rows]


def _fit_rows(fits: dict[str, Fit]) -> list[list[str]]:
    rows = [["phase", "seconds", "largest error"]]
    for phase, found in fits.items():
        terms = " + ".join(f"{seconds:.3g} for each {name}" for name, seconds in found.seconds.items() if seconds)
        rows.append([phase, terms.replace(" for each start", "") or "none", f"{100 * found.error:.0f} %"])
    return rows


def _assumptions(args: argparse.Namespace) -> str:
    factor, power = args.heaps
    return (
        f"{args.executors} executors of {args.cores} cores, each {args.core_speed:g} times as fast as a measured one "
        f"and as fast together as alone, with {args.network:g} GB/s of network and {args.storage:g} GB/s of storage; "
        f"at most {args.vocabulary:,} words x {args.vector_size}, epochs: {args.epochs}, {args.word_bytes:g} bytes of "
        f"text a word, {factor:g} N^{power:g} distinct words in N. Rounds and merges are those that the program plans; "
        "every change travels. All of these are options. A phase takes as long as the longest of computing, network "
        "and storage. What happens when machines fail, wait for each other or share a switch is not in it."
    )


def _settings(args: argparse.Namespace, exchanges: Sequence[str]) -> Iterator[Setting]:
    """Each number of tokens, each way to merge, on CPUs and, where their speed is given, on GPUs."""
    gpus = [None, args.gpu_words_per_second] if args.gpu_words_per_second else [None]
    for tokens, exchange, gpu in itertools.product(args.tokens, exchanges, gpus):
        yield Setting(
            words=tokens,
            vocabulary=args.vocabulary,
            vector_size=args.vector_size,
            epochs=args.epochs,
            executors=args.executors,
            cores=args.cores,
            exchange=exchange,
            network=args.network * 1e9,
            storage=args.storage * 1e9,
            core_speed=args.core_speed,
            word_bytes=args.word_bytes,
            heaps=(args.heaps[0], args.heaps[1]),
            min_count=args.min_count,
            task_bytes=args.task_bytes,
            gpu=gpu,
        )


def _summary_rows(projected: Sequence[tuple[Setting, dict[str, Cost]]]) -> list[list[str]]:
    """A row for each run: how long, and what most of it waits for."""
    rows = [["tokens", "trained by", "merged", "takes", "most of it", "bound by"]]
    for setting, costs in projected:
        total, worst = sum(cost.seconds for cost in costs.values()), max(costs, key=lambda name: costs[name].seconds)
        most = f"{worst}, {100 * costs[worst].seconds / total:.0f} %"
        machines = _machines(setting)
        rows.append([f"{setting.words:,}", machines, setting.exchange, duration(total), most, costs[worst].bound])
    return rows


def _machines(setting: Setting) -> str:
    if setting.gpu:
        return f"{setting.executors} GPUs of {setting.gpu:,.0f} words/s (given, not measured)"
    return f"{setting.executors} executors' CPUs"


def _projection(setting: Setting, costs: dict[str, Cost]) -> str:
    """A section with the phases of a run."""
    sizes, total = setting.sizes(), sum(cost.seconds for cost in costs.values())
    rows = [["phase", "computing", "network", "storage", "takes", "share"]]
    for phase, cost in costs.items():
        each = (cost.computing, cost.network, cost.storage, cost.seconds)
        rows.append([phase, *map(duration, each), f"{100 * cost.seconds / total:.0f} %"])
    rows.append(["all", "", "", "", duration(total), ""])
    return "\n\n".join(
        [
            f"### {setting.words:,} tokens by {_machines(setting)}, merging {_EXCHANGES[setting.exchange]}",
            f"{sizes.vocabulary:,} of {setting.distinct(setting.words):,.0f} distinct words, a model of "
            f"{sizes.model_bytes / 1e9:.1f} GB, {sizes.rounds} rounds"
            + (f", {sizes.syncs:,} syncs" if sizes.syncs else "")
            + f", {sizes.bytes_sent / 1e12:.2f} TB sent by the replicas.",
            job.markdown(rows),
        ]
    )


def duration(seconds: float) -> str:
    """A time for a person."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


if __name__ == "__main__":
    sys.exit(main())
