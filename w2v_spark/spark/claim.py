"""Claiming an output directory for a run, and what the run has done there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from w2v_spark import __version__, store, workdir
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place

_STAGES = ("counts", "vocabulary", "corpus")
_OURS = {store.MANIFEST, store.VOCAB, store.VECTORS, store.METRICS, store.WORK}


@dataclass(frozen=True)
class Run:
    """An output directory that is ours for this run; `stages` tells what is done in it, each with the key of what
    shaped it.
    """

    output: Place
    application: str
    stages: dict[str, dict[str, Any]]

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
        self.stages[stage] = {"key": key, **facts}
        self._write()

    def begin(self, stage: str) -> None:
        """Forget that a stage and what is made from it are done, before any of it is overwritten."""
        for name in _STAGES[_STAGES.index(stage) :]:
            self.stages.pop(name, None)
        self._write()

    def make_room(self) -> None:
        """Remove the model that --overwrite replaces, its manifest first; until then it is whole."""
        for name in (store.MANIFEST, store.VOCAB, store.VECTORS, store.METRICS):
            self.output.delete(name)

    def _write(self) -> None:
        record = {"format": store.FORMAT, "application": self.application, "stages": self.stages}
        self.output.child(store.WORK).write_json(workdir.RUN, record)


def claim_output(output: Place, application: str, overwrite: bool) -> Run:
    """Make or take over the output directory; one that is finished, not ours or not writable is an OutputError."""
    work = output.child(store.WORK)
    names = [n for n in output.names() if not n.startswith(".")]
    foreign = sorted(set(names) - _OURS)
    if foreign or (names and not output.exists(store.MANIFEST) and not work.exists(workdir.RUN)):
        raise OutputError(
            f"output {output.uri} holds files that are not ours ({', '.join(foreign or names)[:80]}): give an "
            "empty or new directory"
        )
    if output.exists(store.MANIFEST):
        _refuse_foreign(output)
        if not overwrite:
            raise OutputError(
                f"output {output.uri} holds a finished model: give --overwrite to replace it, or another directory"
            )
    run = Run(output, application, _earlier_stages(work))
    try:
        work.make()
        run._write()
    except OSError as e:
        raise OutputError(f"output {output.uri} cannot be written: {e.strerror or e}") from e
    return run


def _refuse_foreign(output: Place) -> None:
    try:
        store.checked_manifest(output)
    except FormatError as e:
        raise OutputError(
            f"output {output.uri} holds a {store.MANIFEST} that is not ours: give an empty or new directory ({e})"
        ) from e


def _earlier_stages(work: Place) -> dict[str, dict[str, Any]]:
    """What an earlier run did here; nothing where its record cannot be read."""
    if not work.exists(workdir.RUN):
        return {}
    try:
        return dict(work.read_json(workdir.RUN).get("stages", {}))
    except FormatError:
        return {}
