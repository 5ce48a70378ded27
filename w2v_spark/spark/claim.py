"""Claiming an output directory for a run, and what the run has done there."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from w2v_spark import __version__, store, workdir
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place

_STAGES = ("counts", "vocabulary", "corpus")
_OURS = {store.MANIFEST, store.VOCAB, store.VECTORS, store.METRICS, store.WORK}
_OURS_IN_WORK = {
    store.VOCAB,
    workdir.RUN,
    workdir.CURRENT,
    workdir.COUNTS,
    workdir.CORPUS,
    workdir.CORPUS_INDEX,
    workdir.ROUNDS,
}


@dataclass(frozen=True)
class Run:
    """An output directory that is ours for this run; `stages` tells what is done in it, each with the key of what
    shaped it.

    `tag` is the run's own, also among those of one Spark application, and may be part of a file's name: what carries it
    is written by no other run. run.json holds the tag and the application of the run that claimed the output last.
    """

    output: Place
    application: str
    stages: dict[str, dict[str, Any]]
    tag: str = field(default_factory=lambda: uuid.uuid4().hex[:8])

    def key(self, *shaped_by: Any) -> str | None:
        """A digest of what shapes a stage; None where the input cannot be told from another, so that nothing is
        reused.
        """
        if shaped_by[0] is None:
            return None
        return hashlib.sha256(json.dumps([__version__, *shaped_by]).encode()).hexdigest()[:32]

    def key_of(self, stage: str) -> str | None:
        """The key that a stage was done with."""
        return self.stages.get(stage, {}).get("key")

    def done(self, stage: str, key: str | None) -> dict[str, Any] | None:
        """What the stage noted, if it was done with this key."""
        found = self.stages.get(stage)
        return found if found and key is not None and found["key"] == key else None

    def mark(self, stage: str, key: str | None, facts: dict[str, Any]) -> None:
        """Note that a stage is done."""
        self.still_ours()
        self.stages[stage] = {"key": key, **facts}
        self._write()

    def begin(self, stage: str) -> None:
        """Forget that a stage and what is made from it are done, before any of it is overwritten."""
        self.still_ours()
        for name in _STAGES[_STAGES.index(stage) :]:
            self.stages.pop(name, None)
        self._write()

    def still_ours(self) -> None:
        """Refuse to go on where another run has claimed the output since.

        This is a look and no lock: another may come right after it. So it stands before each step that others can see,
        and what a run writes before such a step belongs into files with its tag, where it does no harm.
        """
        record = _record(self.output.child(store.WORK))
        if record is None:
            raise OutputError(
                f"output {self.output.uri} is no longer this run's: its {store.WORK}/{workdir.RUN} is gone, removed or "
                "brought to its end by another run; give each run a directory of its own"
            )
        if record.get("run") != self.tag:
            raise OutputError(
                f"output {self.output.uri} is no longer this run's: application {record.get('application')} has "
                f"taken it over from application {self.application}; give each run a directory of its own"
            )

    def make_room(self) -> None:
        """Remove the model that --overwrite replaces, its manifest first; until then it is whole."""
        self.still_ours()
        for name in (store.MANIFEST, store.VOCAB, store.VECTORS, store.METRICS):
            self.output.delete(name)

    def remove_work(self) -> None:
        """Remove what only the run needed, once its model is whole; not what another run has begun there since."""
        work = self.output.child(store.WORK)
        if (_record(work) or {}).get("run") == self.tag:
            work.delete()

    def _write(self) -> None:
        record = {
            "format": store.FORMAT,
            "application": self.application,
            "run": self.tag,
            "stages": self.stages,
        }
        self.output.child(store.WORK).write_json(workdir.RUN, record)


def claim_output(output: Place, application: str, overwrite: bool) -> Run:
    """Make or take over the output directory; one that is finished, not ours or not writable is an OutputError.

    Taken over is what an earlier run left, and what a run that goes on has there: that one stops as soon as it looks.
    """
    work = output.child(store.WORK)
    try:
        _refuse_foreign(output)
        if output.exists(store.MANIFEST) and not overwrite:
            raise OutputError(
                f"output {output.uri} holds a finished model: give --overwrite to replace it, or another directory"
            )
        run = Run(output, application, _earlier_stages(work))
        work.make()
        run._write()
    except OSError as e:
        raise OutputError(f"output {output.uri} cannot be written: {e.strerror or e}") from e
    return run


def _refuse_foreign(output: Place) -> None:
    """Refuse a directory in which anything is not ours: it may be anyone's, and we overwrite and delete there."""
    names, work = _visible(output), output.child(store.WORK)
    foreign = [name for name in names if name not in _OURS]
    if store.MANIFEST in names and not foreign:
        _refuse_foreign_manifest(output)
    elif names == [store.WORK] and _record(work) is None:
        # a run that died before it had written run.json leaves nothing there that we do not know
        foreign = [f"{store.WORK}/{name}" for name in _visible(work) if name not in _OURS_IN_WORK]
    elif names and _record(work) is None:
        foreign = foreign or names
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
    return [name for name in place.names() if not name.startswith(".")]


def _record(work: Place) -> dict[str, Any] | None:
    """What run.json says of the run that claimed the output last; None where there is none, or none of ours that can
    be read.
    """
    try:
        record = work.read_json(workdir.RUN)
    except (FileNotFoundError, FormatError):
        return None
    return record if record.get("format") == store.FORMAT else None


def _earlier_stages(work: Place) -> dict[str, dict[str, Any]]:
    """What an earlier run did here."""
    stages = (_record(work) or {}).get("stages")
    return dict(stages) if isinstance(stages, dict) else {}
