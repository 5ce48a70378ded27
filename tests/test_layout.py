"""What the driver makes of a cluster: why an executor cannot use the output, and where replicas have room."""

from __future__ import annotations

from pathlib import Path

from w2v_spark.spark import cluster


def test_only_an_output_that_is_not_shared_is_to_be_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "probe").touch()
    assert cluster._output_problem(str(tmp_path), "probe") == ""
    assert cluster._output_problem(str(tmp_path), "other") == (
        "it does not see the files that the driver wrote there; --output must be on storage that driver and executors "
        "share (hdfs://, s3a://, a network mount)"
    )
    # as of an executor without Java for hdfs
    assert cluster._output_problem("ofs://host/out", "probe").startswith("must be a local path or start with one of")
