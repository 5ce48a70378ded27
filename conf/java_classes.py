"""Class data sharing: the Java classes that Spark loads are recorded once, which halves the start of every later JVM.

Started by itself it records them now, for .venv's own Spark.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# A JVM whose work is to feed Python workers on the same cores: compiling less leaves the cores to them. The first flag
# alone leaves 48 MB for compiled code: a dozen trainings in one JVM fill them, and each later one compiles anew.
COMPILING_LESS = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
JAVA_FLAGS = f"{COMPILING_LESS} -XX:+UseParallelGC"
_JOB = Path(__file__).resolve().with_name("java_classes_job.py")
# folders that Spark puts onto its class path: a JVM shares no classes when one of them holds files
_CLASS_PATH_FOLDERS = ("SPARK_CONF_DIR", "HADOOP_CONF_DIR", "YARN_CONF_DIR", "SPARK_DIST_CLASSPATH")


def sharing_options(spark: Path, environ: dict[str, str], record: bool = True) -> str:
    """The JVM options that map the classes recorded for this Java and this Spark; none where there are none. Those that
    are not recorded yet are, if `record`.
    """
    java = _java(environ)
    folders = (spark / "conf").exists() or any(environ.get(name) for name in _CLASS_PATH_FOLDERS)
    if java is None or folders or not _can_share(java):
        return ""
    archive = _archive(java, spark)
    if set(str(archive)) & set('":\\') or not (archive.is_file() or (record and _record(archive, spark, environ))):
        return ""
    if not archive.stat().st_size:  # this Java could not
        return ""
    # a Spark whose jars have changed since then loads its classes from them; the JVM would only warn
    return f'"-XX:SharedArchiveFile={archive}" -Xlog:cds=off -Xlog:cds+dynamic=off'


def _java(environ: dict[str, str]) -> Path | None:
    """The java command that Spark will start."""
    home = environ.get("JAVA_HOME")
    found = shutil.which(f"{home}/bin/java" if home else "java", path=environ.get("PATH"))
    return Path(found).resolve() if found else None


def _can_share(java: Path) -> bool:
    """Whether this Java shares the classes of Spark's class path, which names one jar twice: Java 17 does, Java 21 only
    as .venv/jre, whose launcher leaves the second out.
    """
    if java.is_relative_to(Path(sys.prefix).resolve()):
        return True
    return 'JAVA_VERSION="17.' in _release(java)


def _release(java: Path) -> str:
    """What a Java tells of itself; nothing where it has no such file, as the launcher in .venv/jre."""
    about = java.parent.parent / "release"
    return about.read_text(errors="replace") if about.is_file() else ""


def _archive(java: Path, spark: Path) -> Path:
    """Where the classes of this Java and this Spark lie: in the virtual environment, which an upgrade makes anew."""
    jars = spark / "jars"
    installed = jars.stat().st_mtime_ns if jars.exists() else 0
    key = f"{java} {_release(java)} {jars} {installed}"
    return Path(sys.prefix) / f"classes-{hashlib.sha256(key.encode()).hexdigest()[:12]}.jsa"


def _record(archive: Path, spark: Path, environ: dict[str, str]) -> bool:
    """Runs a job of Spark, which records its classes at its end; whether that worked."""
    if not os.access(archive.parent, os.W_OK):
        return False
    print(
        "w2v_spark: recording the Java classes that Spark loads, so that it starts in half the time from now on (once; "
        "about half a minute)",
        file=sys.stderr,
        flush=True,
    )
    # a JVM that maps half an archive crashes, so the file gets its name when it is whole
    unfinished = archive.with_suffix(f".{os.getpid()}.jsa")
    options = f'{JAVA_FLAGS} "-XX:ArchiveClassesAtExit={unfinished}" -Xlog:disable'
    command = [str(spark / "bin" / "spark-submit"), "--master", "local[2]", "--conf", "spark.ui.enabled=false"]
    own = {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable, "SPARK_HOME": str(spark)}
    try:
        done = subprocess.run(
            [*command, "--conf", f"spark.driver.extraJavaOptions={options}", str(_JOB)],
            env=environ | own,
            capture_output=True,
            timeout=300,
        )
        if done.returncode == 0:
            unfinished.touch()  # where this Java records no classes: it is not asked again
            unfinished.replace(archive)
            return True
        why = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    except (OSError, subprocess.TimeoutExpired) as e:
        why = str(e)
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"w2v_spark: could not record them ({why}); Spark starts as it did before", file=sys.stderr)
    return False


def own_spark() -> Path:
    """The Spark of this Python's environment."""
    return Path(sysconfig.get_path("purelib")) / "pyspark"


if __name__ == "__main__":
    sharing_options(own_spark(), dict(os.environ))
