"""Claiming an output directory for a run: who may have it."""

from __future__ import annotations

import re

from w2v_spark import store, workdir
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place
from w2v_spark.spark.lease import LEASE, this_process, wait_for_lease
from w2v_spark.spark.run import PUBLISHED, Run, read_record, remove_work, stages_of
from w2v_spark.spark.tables import PATTERN

_OURS = {store.MANIFEST, store.REPORT, *PUBLISHED, store.WORK}
_OURS_IN_WORK = re.compile(rf"{workdir.TAG.pattern}|{workdir.METRICS}|{workdir.RUN}|{workdir.CURRENT}|{LEASE}")
# a table's files; others are hidden ones, which committers, platforms and network mounts leave beside them
_SPARKS = re.compile(r"part-.*\.parquet|_.*")
# what EMRFS keeps beside a folder
_MARKER = "_$folder$"


def claim_output(output: Place, application: str, overwrite: bool, only_plan: bool = False) -> Run:
    """Make or take over the output directory; one that is finished, in use, not ours or not writable is an OutputError.

    With `overwrite` a finished model may be replaced, and an unfinished run is dropped, its rounds and what they
    were trained on; but what this Spark application began itself is gone on with: a cluster manager that starts a
    driver again repeats its arguments. Where `only_plan` is wanted nothing is dropped.
    """
    if pattern := PATTERN.search(output.path):
        raise OutputError(
            f"output {output.uri} has a {pattern[0]} in its path, a pattern to Spark: give another directory"
        )
    work = output.child(store.WORK)
    try:
        _refuse_foreign(output)
        wait_for_lease(work, application)
        record = read_record(work) or {}
        training = record.get("training")
        again = record.get("application") == application and record.get("process") != this_process()
        if output.exists(store.MANIFEST) and not overwrite and not training:
            if record.get("finished"):  # its driver died while it removed this
                remove_work(work)
            raise OutputError(
                f"output {output.uri} holds a finished model: give overwrite=True (--overwrite) to replace it, or "
                "another directory"
            )
        anew = bool(training) and overwrite and not again
        if anew and only_plan:
            raise OutputError(
                f"output {output.uri} holds an unfinished run, whose rounds --overwrite would drop: plan without "
                "--overwrite, or with another --output"
            )
        run = Run(output, application, {} if anew else stages_of(record), None if anew else training)
        try:
            run.take()
        except BaseException:
            run.release()
            raise
    except OSError as e:
        raise OutputError(f"output {output.uri} cannot be written: {e.strerror or e}") from e
    return run


def _refuse_foreign(output: Place) -> None:
    """Refuse a directory in which anything is not ours: it may be anyone's, and we overwrite and delete there."""
    names, work = _visible(output), output.child(store.WORK)
    foreign = [name for name in names if name not in _OURS]
    if store.MANIFEST in names and not foreign:
        _refuse_foreign_manifest(output)
    elif names == [store.WORK] and read_record(work) is None:
        # a run that died before it had written run.json leaves nothing there that we do not know
        foreign = [f"{store.WORK}/{name}" for name in _visible(work) if not _OURS_IN_WORK.fullmatch(name)]
    elif names and read_record(work) is None:
        foreign = foreign or names
    if not foreign:
        inside = {directory: _visible(output.child(directory)) for directory in PUBLISHED}
        foreign = [f"{d}/{name}" for d, found in inside.items() for name in found if not _SPARKS.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"output {output.uri} holds files that are not ours ({', '.join(foreign)[:80]}): give an empty or new "
            "directory"
        )


def _refuse_foreign_manifest(output: Place) -> None:
    try:
        store.checked_manifest(output)
    except FormatError as e:
        raise OutputError(
            f"output {output.uri} holds a {store.MANIFEST} that is not ours: give an empty or new directory ({e})"
        ) from e


def _visible(place: Place) -> list[str]:
    return [name for name in place.names() if not name.startswith(".") and not name.endswith(_MARKER)]
