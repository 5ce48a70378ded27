"""report.html, which a run leaves in its output: parameters, corpus, rounds, speed and some nearest words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from w2v_spark import store
from w2v_spark.params import specs, spelt
from w2v_spark.pictures.neighbours import FrequentWords, frequent_words, nearest_words, words_to_ask
from w2v_spark.pictures.page import Markup, facts, joined, markup, note, page, percent, section, table, tiles
from w2v_spark.pictures.svg import line_chart
from w2v_spark.place import Place
from w2v_spark.training.history import TrainedRound, last_loss, trained_rounds, words_per_second

# more rounds than these are thinned out in the table; OUT/metrics has all
_MOST_ROUNDS = 40
_MOST_FREQUENT = 10


def write(
    output: Place, manifest: Mapping[str, Any], metrics: Iterable[Mapping[str, Any]], given: Mapping[str, Any]
) -> None:
    """Write report.html into a model's directory that has vectors/, before the model moves to OUT.

    `manifest` is what model.json will hold, `metrics` the rows of OUT/metrics, `given` the parameters before those that
    are auto were resolved, and as `vocab` the address of a ready list of words, if any. Takes well under a second and
    some MB of memory, whatever the size of the model.
    """
    with output.filesystem.open_output_stream(output.file(store.REPORT)) as stream:
        stream.write(run_page(output, manifest, trained_rounds(metrics), given).encode())


def run_page(
    output: Place, manifest: Mapping[str, Any], rounds: Sequence[TrainedRound], given: Mapping[str, Any]
) -> str:
    """The page as HTML."""
    frequent = frequent_words(output, manifest)
    return page(
        f"Word vectors: {output.uri.rpartition('/')[2]}",
        [
            _in_short(manifest, rounds),
            _charts(manifest["params"], rounds),
            _scores(rounds),
            _neighbours(output, manifest, frequent),
            _rounds(rounds),
            _speed(manifest, rounds),
            _corpus(manifest, frequent, given.get("vocab")),
            _parameters(manifest["params"], given),
            section("Made with", facts(manifest["versions"].items())),
        ],
    )


def duration(seconds: float) -> str:
    """A stretch of time in the units that suit it."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 6000:
        return f"{round(seconds) // 60} min {round(seconds) % 60} s"
    return f"{round(seconds / 60) // 60} h {round(seconds / 60) % 60} min"


def _in_short(manifest: Mapping[str, Any], rounds: Sequence[TrainedRound]) -> Markup:
    params, vocabulary = manifest["params"], manifest["vocabulary"]
    seconds, loss = sum(r.seconds for r in rounds), last_loss(rounds)
    return tiles(
        [
            (_large(vocabulary["words"]), "words in the vocabulary"),
            (str(params["vector_size"]), "numbers in each vector"),
            (_large(vocabulary["total_count"]), f"words of text, {params['max_iter']:,} epochs"),
            (duration(seconds), "training, merges included"),
            (_large(words_per_second(rounds)), "words a second"),
            ("-" if loss is None else f"{loss:.4f}", "loss of the last round"),
        ]
    )


def _charts(params: Mapping[str, Any], rounds: Sequence[TrainedRound]) -> Markup:
    numbers = [r.number for r in rounds]
    losses, speeds = [r.loss for r in rounds], [r.words_per_second / 1e6 for r in rounds]
    charts = [
        line_chart("Loss over rounds", numbers, losses, x_label="round", y_label="loss of a pair, nats"),
        line_chart(
            "Speed over rounds", numbers, speeds, x_label="round", y_label="million words a second", from_zero=True
        ),
    ]
    about = "The loss is the mean over the pairs of a round"
    if params.get("loss", "negative_sampling") == "negative_sampling":
        about += f", of a pair with its {params['negative']} negatives: (negatives + 1) ln 2 before anything is learnt"
    return section("Loss and speed", markup('<div class="charts">{}{}</div>', *charts), note(about + "."))


def _scores(rounds: Sequence[TrainedRound]) -> Markup:
    """The scores while training, where there are any."""
    asked = (
        ("Analogies", "% answered", [r.analogies for r in rounds]),
        ("Word pairs", "100 rho", [r.word_pairs for r in rounds]),
    )
    charts = []
    for title, unit, values in asked:
        scored = [(r.number, 100 * value) for r, value in zip(rounds, values, strict=True) if value is not None]
        if scored:
            numbers, scores = zip(*scored, strict=True)
            charts.append(
                line_chart(f"{title} over rounds", numbers, scores, x_label="round", y_label=f"{title}, {unit}")
            )
    return (
        section("Scores while training", markup('<div class="charts">{}</div>', joined(charts)))
        if charts
        else Markup("")
    )


def _neighbours(output: Place, manifest: Mapping[str, Any], frequent: FrequentWords) -> Markup:
    asked = words_to_ask(frequent)
    rows = []
    for i, near in zip(asked, nearest_words(output, manifest, frequent, asked), strict=True):
        others = joined(
            (markup("<span><bdi>{}</bdi> <i>{}</i></span>", word, f"{cosine:.2f}") for word, cosine in near), ", "
        )
        rows.append((frequent.words[i].as_py(), f"{i + 1:,}", others))
    all_words = manifest["vocabulary"]["words"]
    among = f"the {len(frequent):,} most frequent of {all_words:,} words" if len(frequent) < all_words else "all words"
    told = note(f"Words of falling frequency, and those with the highest cosine among {among}.")
    return section("Nearest words", told, table(("word", "rank", "nearest words and cosines"), rows, "lrw"))


def _rounds(rounds: Sequence[TrainedRound]) -> Markup:
    shown = rounds
    parts = []
    if len(rounds) > _MOST_ROUNDS:
        last = len(rounds) - 1
        shown = [rounds[i * last // (_MOST_ROUNDS - 1)] for i in range(_MOST_ROUNDS)]
        parts.append(note(f"{len(shown)} of {len(rounds):,} rounds; {store.METRICS}/ holds all, of each replica."))
    header = ("round", "to epoch", "loss", "words", "words/s", "seconds", "of it training", "step size", "MB sent")
    lines = [
        (
            r.number,
            f"{r.stop:.2f}",
            "-" if r.loss is None else f"{r.loss:.4f}",
            f"{r.words:,}",
            f"{r.words_per_second:,.0f}",
            f"{r.seconds:.2f}",
            f"{r.seconds_train:.2f}",
            f"{r.step_size:.6f}",
            f"{r.bytes_sent / 1e6:,.1f}",
        )
        for r in shown
    ]
    return section("Rounds", *parts, table(header, lines, "r" * len(header)))


def _speed(manifest: Mapping[str, Any], rounds: Sequence[TrainedRound]) -> Markup:
    params, seconds = manifest["params"], sum(r.seconds for r in rounds)
    trained = sum(r.seconds_train for r in rounds)
    return section(
        "Speed",
        facts(
            [
                ("replicas", f"{params['num_replicas']:,}"),
                ("threads of a replica", f"{params['threads_per_replica']:,}"),
                ("words trained, epochs together", f"{sum(r.words for r in rounds):,}"),
                ("words a second", f"{words_per_second(rounds):,.0f}"),
                ("all rounds", duration(seconds)),
                ("of it the slowest replica's training", f"{duration(trained)} ({percent(trained / seconds)})"),
                ("of it opening and merging models", duration(seconds - trained)),
                ("sent by the replicas to be merged", f"{sum(r.bytes_sent for r in rounds) / 1e6:,.1f} MB"),
                ("processors", ", ".join(manifest["processors"])),
            ]
        ),
    )


def _corpus(manifest: Mapping[str, Any], frequent: FrequentWords, word_list: str | None) -> Markup:
    vocabulary, params = manifest["vocabulary"], manifest["params"]
    total = vocabulary["total_count"]
    told = [
        ("words of text that are in the vocabulary", f"{total:,}"),
        ("different words", f"{vocabulary['words']:,}"),
        ("kept are", f"the words of {word_list}" if word_list else f"words seen {params['min_count']:,} times or more"),
        ("input", manifest["input"].get("source") or "a DataFrame"),
        ("fingerprint of the input", manifest["input"]["fingerprint"] or "none: its content cannot be told by files"),
    ]
    parts = [facts(told)]
    if frequent.counts is not None and total:
        counts = frequent.counts[:_MOST_FREQUENT].tolist()
        rows = [
            (number, word, f"{count:,}", percent(count / total))
            for number, (word, count) in enumerate(
                zip(frequent.words[: len(counts)].to_pylist(), counts, strict=True), start=1
            )
        ]
        parts.append(markup("<h3>{}</h3>", "The most frequent words"))
        parts.append(table(("rank", "word", "count", "share of the text"), rows, "rlrr"))
    return section("Corpus and vocabulary", *parts)


def _parameters(used: Mapping[str, Any], given: Mapping[str, Any]) -> Markup:
    known = specs()
    rows = [
        (name, spelt(name, given.get(name, value)), spelt(name, value), known[name].help if name in known else "")
        for name, value in used.items()
    ]
    told = note("Given is what the run was asked for, defaults included; used is what became of auto.")
    return section("Parameters", told, table(("parameter", "given", "used", "what it does"), rows, "lllw"))


def _large(number: float) -> str:
    """A number at a glance; in full it stands further down."""
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:,.0f}"
