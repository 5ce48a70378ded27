"""A run's hold of its output directory: what is done in it, and where each run writes."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from w2v_spark import __version__, store, workdir
from w2v_spark.errors import FormatError, OutputError
from w2v_spark.place import Place
from w2v_spark.spark.lease import Lease, this_process
from w2v_spark.workdir.pointer import Pointer
from w2v_spark.workdir.vocabulary import Vocabulary

log = logging.getLogger(__name__)

PUBLISHED = (store.VOCAB, store.VECTORS, store.METRICS)  # the directories of a model

# in their order; finding phrases is a stage a pass, phrases-1 and so on
_STAGES = ("phrases", "counts", "vocabulary", "corpus")
_STAGE = re.compile(r"phrases-\d+|counts|vocabulary|corpus")
# the model of a run before it has its place
_DRAFT = "model"
# a JSON file of ours that was being written when its driver died
_HALF_WRITTEN = re.compile(r"\.[\w.]+\.[0-9a-f]{32}")


class Run:
    """An output directory that is ours for this run.

    `tag` is the run's own, also among those of one Spark application: OUT/work/TAG is written by no other run.
    `stages` tells what is done, each with the key of what shaped it and the tag of the run that did it; `training`
    what the rounds that are there were started with, None where there is nothing to go on with.
    run.json holds all this, of the run that claimed the output last.
    """

    def __init__(self, output: Place, application: str, stages: dict[str, Any], training: dict[str, Any] | None):
        self.output, self.application = output, application
        self.stages, self.training = stages, training
        self.tag = uuid.uuid4().hex[:8]
        self.work = output.child(store.WORK)
        self.own = self.work.child(self.tag)
        self.draft = self.own.child(_DRAFT)
        self._lease = Lease(self.work, self.tag, application)

    @staticmethod
    def key(*shaped_by: Any) -> str | None:
        """A digest of what shapes a stage; None where the input cannot be told from another, so that nothing is
        reused.
        """
        if shaped_by[0] is None:
            return None
        return hashlib.sha256(json.dumps([__version__, *shaped_by]).encode()).hexdigest()[:32]

    def key_of(self, stage: str) -> str | None:
        """The key that a stage was done with."""
        return self.stages.get(stage, {}).get("key")

    def once(
        self, stage: str, key: str | None, directory: str, do: Callable[[], dict[str, Any]], index: str | None = None
    ) -> dict[str, Any]:
        """What a stage noted: of the run that did it with this key, else what `do` returns, which does it now and
        writes into a directory of that name of ours, and perhaps an index beside it.
        """
        done = self.done(stage, key, directory)
        if done and self.place(stage).exists(index):
            log.info("reuse from an earlier run: %s", stage)
            return done
        self.begin(stage)
        self.mark(stage, key, do())
        return self.stages[stage]

    def done(self, stage: str, key: str | None, directory: str) -> dict[str, Any] | None:
        """What the stage noted, if it was done with this key and its files are still there, in a directory of the run
        that did it.
        """
        found = self.stages.get(stage)
        if not found or key is None or found["key"] != key or "files" not in found:
            return None
        wrong = store.lacking(self.place(stage).child(directory), store.files_from_json(found["files"]))
        if wrong:
            log.warning("%s: the %s of an earlier run cannot be used again", wrong, stage)
        return None if wrong else found

    def place(self, stage: str) -> Place:
        """The directory of the run that did the stage."""
        return self.work.child(self.stages[stage]["run"])

    def mark(self, stage: str, key: str | None, facts: dict[str, Any]) -> None:
        """Note that this run has done a stage."""
        self.still_ours()
        self.stages[stage] = {"key": key, "run": self.tag, **facts}
        self._write()

    def begin(self, stage: str) -> None:
        """Forget a stage and what is made from it."""
        self.still_ours()
        self.stages = {name: noted for name, noted in self.stages.items() if _order(name) < _order(stage)}
        self.training = None
        self._write()

    def forget_damaged(self, error: FormatError) -> None:
        """Forget the stage whose files the error names, so that the next start does it again; not beneath rounds, which
        go on with these files or not at all.
        """
        files = {stage: store.files_from_json(noted.get("files", [])) for stage, noted in self.stages.items()}
        damaged = next((stage for stage in files if any(file.name in str(error) for file in files[stage])), None)
        if damaged and self.training is None:
            self.begin(damaged)

    def begin_training(self, record: dict[str, Any]) -> None:
        """Note what the rounds are trained with, once the first of them is there."""
        self.still_ours()
        self.training = record
        self._write()

    def still_ours(self) -> None:
        """Refuse to go on where another run has claimed the output since.

        This is a look and no lock: another may come right after it. So it stands before each step that others can see,
        and what a run writes before such a step lies in its own directory, where it does no harm.
        """
        record = read_record(self.work)
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

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Move the model from `draft` into its place, in that of the one before it, its manifest last.

        A reader who goes by the manifest sees the old model, or that there is none, or the new one; what a reader of
        the directories themselves sees, Place.take tells.
        """
        self.still_ours()
        self.output.delete(store.MANIFEST)
        self.output.delete(store.REPORT)  # a run may fail to write one
        for name in (*PUBLISHED, *filter(self.draft.exists, [store.REPORT])):
            self.still_ours()
            self.output.take(name, self.draft)
        self.still_ours()
        self.output.write_json(store.MANIFEST, dict(manifest))
        self.draft.delete()

    def finish(self, keep_work: bool) -> None:
        """The model is whole: remove what only the run needed, but not what another run has begun there since."""
        self.training = None
        if (read_record(self.work) or {}).get("run") != self.tag:
            return
        try:
            # from here on nobody goes on with these rounds, though a part of them may outlive the driver
            self._write(finished=not keep_work)
            if not keep_work:
                self.release()
                remove_work(self.work)
        except OSError as e:
            log.warning("the model is whole, but %s could not be removed: %s", self.work.uri, e.strerror or e)

    def release(self) -> None:
        """Give no more signs of life."""
        self._lease.stop()

    def take(self) -> None:
        """Make the output ours, and give signs of life from now on."""
        self.work.make()
        self._write()
        self._lease.start()
        self._sweep()

    def _sweep(self) -> None:
        """Remove what runs that died have left and nothing names."""
        for place in (self.output, self.work):
            for name in filter(_HALF_WRITTEN.fullmatch, place.names()):
                place.delete(name)
        named = {stage["run"] for stage in self.stages.values()}
        if self.training is not None:
            named |= {pointer.directory.partition("/")[0] for pointer in Pointer.read(self.work)}
        for tag in filter(workdir.TAG.fullmatch, self.work.names()):
            if tag in named:
                self.work.child(tag).delete(_DRAFT)
            else:
                self.work.delete(tag)

    def _write(self, finished: bool = False) -> None:
        record = {
            "format": store.FORMAT,
            "application": self.application,
            "process": this_process(),
            "run": self.tag,
            "stages": self.stages,
            "training": self.training,
            "finished": finished,
        }
        self.work.write_json(workdir.RUN, record)


def open_encoded(output: Place) -> tuple[Vocabulary, Place]:
    """The vocabulary, and the directory of the encoded corpus, of a run that has kept its work."""
    work = output.child(store.WORK)
    stages = stages_of(read_record(work) or {})
    if not {"vocabulary", "corpus"} <= stages.keys():
        raise FormatError(f"{work.uri} holds no encoded corpus: train with --keep-work")
    return Vocabulary.from_dict(work.child(stages["vocabulary"]["run"]), stages["vocabulary"]), work.child(
        stages["corpus"]["run"]
    )


def read_record(work: Place) -> dict[str, Any] | None:
    """What run.json says of the run that claimed the output last; None where there is none, or none of ours that can
    be read.
    """
    try:
        record = work.read_json(workdir.RUN)
    except (FileNotFoundError, FormatError):
        return None
    return record if record.get("format") == store.FORMAT else None


def remove_work(work: Place) -> None:
    """Remove the work directory, what tells whose it is last."""
    for name in work.names():
        if name != workdir.RUN:
            work.delete(name)
    work.delete()


def stages_of(record: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run did here."""
    stages = record.get("stages")
    if not isinstance(stages, dict):
        return {}
    known = {name: stage for name, stage in stages.items() if _STAGE.fullmatch(name)}
    return {name: stage for name, stage in known.items() if isinstance(stage, dict) and {"key", "run"} <= stage.keys()}


def _order(stage: str) -> tuple[int, int]:
    name, _, number = stage.partition("-")
    return _STAGES.index(name), int(number or 0)
