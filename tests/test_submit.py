"""spark-submit.sh: what it hands to spark-submit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from checkouts import executable, run


def fake_spark(folder: Path) -> Path:
    """A SPARK_HOME whose spark-submit prints its arguments and some of its environment as JSON, and records Java's
    classes as the file `recording` beside it says: as so much text, or not where there is no such file.
    """
    script = f"""#!{sys.executable} -I
import json, os, pathlib, re, sys
if sys.argv[-1].endswith("java_classes_job.py"):
    recording = pathlib.Path(__file__).with_name("recording")
    if not recording.exists():
        sys.exit("no space left")
    if classes := recording.read_text():
        pathlib.Path(re.search('"-XX:ArchiveClassesAtExit=(.+?)"', " ".join(sys.argv))[1]).write_text(classes)
    sys.exit(0)
names = ("SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_SUBMIT_OPTS", "SPARK_WORKER_DIR")
print(json.dumps([sys.argv[1:], {{name: os.environ[name] for name in names if name in os.environ}}]))
sys.exit(7)
"""
    executable(folder / "bin" / "spark-submit", script)
    return folder


def fake_java(checkout: Path, version: str) -> Path:
    """A JAVA_HOME of this version."""
    home = checkout / f"java-{version}"
    executable(home / "bin" / "java", f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    (home / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return home


def submit(
    checkout: Path, *words: str | Path, **env: str | Path
) -> tuple[list[str], dict[str, str], subprocess.CompletedProcess[str]]:
    """What spark-submit.sh hands to spark-submit: arguments and environment."""
    spark = fake_spark(checkout / "own spark")
    given = {"PATH": "/usr/bin:/bin", "JAVA_HOME": fake_java(checkout, "21.0.1"), "SPARK_HOME": spark} | env
    done = run(checkout / "spark-submit.sh", *words, cwd=checkout.parent, **given)
    assert done.returncode == 7, done.stderr  # the job's status is ours
    arguments, environ = json.loads(done.stdout)
    return arguments, environ, done


def options(arguments: list[str], name: str) -> list[str]:
    return [value for key, value in zip(arguments, arguments[1:], strict=False) if key == name]


def test_submit_in_local_mode(checkout: Path) -> None:
    arguments, environ, done = submit(checkout, "--name", "two  words", "jobs/train.py", "--input", "a b", "")
    assert options(arguments, "--master") == ["local[*]"]
    assert options(arguments, "--name") == ["two  words"]
    assert arguments[-4:] == [str(checkout / "jobs" / "train.py"), "--input", "a b", ""]
    assert "spark.ui.showConsoleProgress=false" in options(arguments, "--conf")
    assert "--py-files" not in arguments and "--archives" not in arguments
    assert environ["PYSPARK_PYTHON"] == environ["PYSPARK_DRIVER_PYTHON"] == str(checkout / ".venv" / "bin" / "python")
    assert environ["SPARK_HOME"] == str(checkout / "own spark")
    assert "my%20checkout/w2v_spark/spark/log4j2.properties" in environ["SPARK_SUBMIT_OPTS"]
    assert done.stderr == ""
    assert submit(checkout)[0][-1] == str(checkout / "jobs" / "demo.py")


def test_submit_without_own_spark_uses_the_one_in_venv(checkout: Path) -> None:
    site = next((checkout / ".venv").glob("lib/python3*/site-packages"))
    spark = fake_spark(site / "pyspark")
    (spark / "jars").mkdir()
    assert submit(checkout, "jobs/train.py", SPARK_HOME="")[1]["SPARK_HOME"] == str(spark)
    environ = submit(checkout, "--master", "local-cluster[2,1,1024]", "jobs/train.py", SPARK_HOME="")[1]
    home = Path(environ["SPARK_HOME"])
    assert home == checkout / "build" / "spark" and (home / "jars").samefile(
        spark / "jars"
    )  # its `work` is not in .venv
    environ = submit(checkout, "--master", "yarn", "jobs/train.py", SPARK_HOME="")[1]
    assert "SPARK_HOME" not in environ and "PYSPARK_PYTHON" not in environ


@pytest.mark.parametrize("place", ["option", "equals", "conf", "properties", "defaults", "environment"])
def test_master_of_the_user_is_kept(checkout: Path, tmp_path: Path, place: str) -> None:
    properties = tmp_path / "conf" / "spark-defaults.conf"
    properties.parent.mkdir()
    properties.write_text("# a comment\nspark.master   yarn\nspark.executor.memory=1g\n")
    words: list[str | Path] = {
        "option": ["--master", "yarn"],
        "equals": ["--master=yarn"],
        "conf": ["--conf", "spark.master=yarn"],
        "properties": ["--properties-file", str(properties)],
    }.get(place, [])
    env = {"SPARK_CONF_DIR": str(properties.parent)} if place == "defaults" else {}
    env |= {"MASTER": "yarn"} if place == "environment" else {}
    arguments, environ, _ = submit(checkout, *words, "jobs/train.py", **env)
    assert "local[*]" not in arguments
    assert "--py-files" in arguments  # so it was seen that this master is not this machine
    assert "PYSPARK_PYTHON" not in environ


def test_package_and_environment_travel(checkout: Path) -> None:
    master = ("--master", "spark://far:7077")
    arguments, environ, done = submit(checkout, *master, "--py-files", "mine.zip,x.py", "jobs/train.py")
    (files,) = options(arguments, "--py-files")
    assert files.startswith("mine.zip,x.py,file:///") and "my%20checkout/build/w2v_spark-" in files
    (sent,) = (checkout / "build").glob("w2v_spark-*.zip")
    assert zipfile.ZipFile(sent).namelist() == ["w2v_spark/__init__.py"]
    assert "--archives" not in arguments and "--pack" in done.stderr and "PYSPARK_PYTHON" not in environ

    (checkout / "build" / "environment.tar.gz").touch()
    arguments, environ, done = submit(checkout, *master, "--archives", "mine.tgz#mine", "jobs/train.py")
    (archives,) = options(arguments, "--archives")
    assert archives.startswith("mine.tgz#mine,file:///") and archives.endswith("/environment.tar.gz#environment")
    conf = options(arguments, "--conf")
    assert "spark.pyspark.python=./environment/bin/python" in conf
    assert f"spark.pyspark.driver.python={checkout}/.venv/bin/python" in conf
    assert "another requirements.lock" in done.stderr and "PYSPARK_PYTHON" not in environ

    own = ("--conf", "spark.pyspark.python=/opt/python")
    arguments, environ, done = submit(checkout, *master, *own, "jobs/train.py")
    assert "--archives" not in arguments and "--py-files" in arguments and "PYSPARK_DRIVER_PYTHON" not in environ
    arguments, environ, done = submit(checkout, "jobs/train.py", PYSPARK_PYTHON="/opt/python")
    assert environ["PYSPARK_PYTHON"] == "/opt/python" and "--py-files" in arguments


def test_a_checkout_that_cannot_be_written_has_one_folder_elsewhere(checkout: Path, tmp_path: Path) -> None:
    (checkout / "build").write_text("no folder")
    (tmp_path / "tmp").mkdir()

    def folder_of_what_is_sent() -> Path:
        arguments, _, _ = submit(checkout, "--master", "spark://host:7077", "job.py", TMPDIR=tmp_path / "tmp")
        (files,) = options(arguments, "--py-files")
        return Path(files.removeprefix("file://")).parent

    mine = folder_of_what_is_sent()
    assert folder_of_what_is_sent() == mine == tmp_path / "tmp" / f"w2v_spark-build-{os.geteuid()}"
    assert mine.stat().st_mode & 0o777 == 0o700
    mine.chmod(0o777)
    assert folder_of_what_is_sent() != mine


def test_own_settings_win(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "log4j2.properties").write_text("")
    arguments, environ, _ = submit(checkout, "jobs/train.py", SPARK_CONF_DIR=tmp_path)
    assert "SPARK_SUBMIT_OPTS" not in environ
    option = ("--driver-java-options", "-Dlog4j2.configurationFile=mine")
    assert "SPARK_SUBMIT_OPTS" not in submit(checkout, *option, "jobs/train.py")[1]
    own = ("--conf", "spark.ui.showConsoleProgress=true")
    assert "spark.ui.showConsoleProgress=false" not in submit(checkout, *own, "jobs/train.py")[0]
    assert "--master" not in submit(checkout, "--remote", "sc://far", "jobs/train.py")[0]
    assert submit(checkout, "--version")[0] == ["--version"]
    assert submit(checkout, "--spark-help")[0] == ["--help"]


def test_java_compiles_less_and_shares_recorded_classes_in_local_mode(checkout: Path) -> None:
    def java_options(*words: str | Path, **env: str | Path) -> tuple[str, str]:
        arguments, _, done = submit(checkout, *words, "jobs/train.py", **env)
        given = [value for value in options(arguments, "--conf") if value.startswith("spark.driver.extraJavaOptions=")]
        return "".join(given).partition("=")[2], done.stderr

    plain = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseParallelGC"
    for master in ("local[2]", "local-cluster[2,1,1024]"):
        assert java_options("--master", master) == (plain, "")  # Java 21 shares no classes of Spark's
    assert java_options() == (plain, "")
    java = fake_java(checkout, "17.0.1")
    assert java_options("--master", "yarn", JAVA_HOME=java)[0] == ""
    own = ("--conf", "spark.driver.extraJavaOptions=-Da=b")
    assert java_options(*own, JAVA_HOME=java) == ("-Da=b", "")
    assert java_options(JAVA_HOME=java, JAVA_TOOL_OPTIONS="-Xmx3g") == ("", "")
    # two garbage collectors, the user's and ours, would keep Java from starting
    assert java_options("--conf", "spark.driver.defaultJavaOptions=-XX:+UseG1GC", JAVA_HOME=java) == ("", "")
    for name in ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"):
        assert java_options(JAVA_HOME=java, **{name: "-XX:+UseG1GC"}) == ("", "")
    for properties in ('"-Dspark.executor.extraJavaOptions=-Xint -Xmx2g"', "-Dx='a -Xint'", '-Dx="a'):
        assert java_options(JAVA_HOME=fake_java(checkout, "21.0.1"), SPARK_SUBMIT_OPTS=properties)[0] == plain
    assert java_options(JAVA_HOME=java, SPARK_SUBMIT_OPTS='-Dx="a" "-Xmx3g"') == ("", "")
    assert java_options(JAVA_HOME=java, HADOOP_CONF_DIR=checkout) == (plain, "")

    options_, told = java_options(JAVA_HOME=java)
    assert options_ == plain and "could not record them (no space left)" in told
    recording = checkout / "own spark" / "bin" / "recording"
    recording.write_text("classes")
    options_, told = java_options(JAVA_HOME=java)
    (archive,) = (checkout / ".venv").glob("classes-*.jsa")
    assert "once; about half a minute" in told and len(told.splitlines()) == 1
    assert options_ == f'{plain} "-XX:SharedArchiveFile={archive}" -Xlog:cds=off -Xlog:cds+dynamic=off'
    assert java_options(JAVA_HOME=java) == (options_, "")
    cluster = ("--master", "local-cluster[2,1,1024]", "jobs/train.py")
    sharing = f"spark.executor.extraJavaOptions={options_.removeprefix(plain).strip()}"
    both = [sharing, f"spark.driver.extraJavaOptions={options_}"]
    assert options(submit(checkout, *cluster, JAVA_HOME=java)[0], "--conf")[:2] == both
    own_of_executors = {"SPARK_SUBMIT_OPTS": "-Dspark.executor.extraJavaOptions=-Xint"}
    assert sharing not in submit(checkout, *cluster, JAVA_HOME=java, **own_of_executors)[0]
    (checkout / "own.conf").write_text("spark.executor.extraJavaOptions -Xint\n")
    assert sharing not in submit(checkout, "--properties-file", checkout / "own.conf", *cluster, JAVA_HOME=java)[0]

    recording.write_text("")
    unable = fake_java(checkout, "17.0.2")
    assert java_options(JAVA_HOME=unable)[0] == plain
    assert java_options(JAVA_HOME=unable) == (plain, "")  # not tried again
