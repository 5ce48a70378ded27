"""Becomes spark-submit, with what a job of w2v_spark needs beside the user's options. Started by spark-submit.sh."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shlex
import stat
import sys
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from java_classes import JAVA_FLAGS, own_spark, sharing_options

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "build" / "environment.tar.gz"
ENVIRONMENT = "environment"

SWITCHES = {"--help", "-h", "--version", "--verbose", "-v", "--supervise", "--usage-error", "--load-spark-defaults"}
NO_JOB = {"--help", "-h", "--version", "--usage-error", "--kill", "--status"}
EXECUTOR_OPTIONS = "spark.executor.extraJavaOptions"


@dataclass
class Submission:
    """A command line of spark-submit: its options in order, then the job and the job's arguments."""

    options: list[tuple[str, str | None]] = field(default_factory=list)
    job: list[str] = field(default_factory=list)

    @classmethod
    def parse(cls, arguments: list[str]) -> Submission:
        """Splits a command line as spark-submit does."""
        result = cls()
        rest = list(arguments)
        while rest and rest[0].startswith("-"):
            word = rest.pop(0)
            name, equals, value = word.partition("=")
            if equals and name.startswith("--"):
                result.options.append((name, value))
            elif word in SWITCHES or not rest:
                result.options.append((word, None))
            else:
                result.options.append((word, rest.pop(0)))
        result.job = rest
        return result

    def option(self, name: str) -> str | None:
        """The value of an option; the last one counts."""
        return next((value for key, value in reversed(self.options) if key == name), None)

    def has(self, name: str) -> bool:
        """Whether an option or a switch is given."""
        return any(key == name for key, _ in self.options)

    def replace(self, name: str, value: str) -> None:
        """Sets an option, in place of all that were given."""
        self.options = [(key, old) for key, old in self.options if key != name]
        self.options.append((name, value))

    def prepend_conf(self, key: str, value: str) -> None:
        """Sets a Spark property that the user's own --conf overrides."""
        self.options.insert(0, ("--conf", f"{key}={value}"))

    def conf(self) -> dict[str, str]:
        """The properties given with --conf."""
        pairs = (value.partition("=") for key, value in self.options if key in ("--conf", "-c") and value)
        return {key.strip(): value for key, _, value in pairs}

    def arguments(self) -> list[str]:
        """The command line again."""
        words = [word for key, value in self.options for word in ((key,) if value is None else (key, value))]
        return words + self.job


def read_properties(path: Path) -> dict[str, str]:
    """A Java properties file, as far as Spark's are used."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (re.split(r"\s*[=:\s]\s*", line.strip(), maxsplit=1) for line in lines)
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and pair[0][:1] not in ("#", "!")}


def configured(submission: Submission, environ: dict[str, str]) -> dict[str, str]:
    """The properties that the user has set, from the weakest place to the strongest."""
    result: dict[str, str] = {}
    folder = conf_dir(environ)
    own = submission.option("--properties-file")
    if folder and (own is None or submission.has("--load-spark-defaults")):
        result.update(read_properties(folder / "spark-defaults.conf"))
    if own is not None:
        result.update(read_properties(Path(own)))
    return result | submission.conf()


def conf_dir(environ: dict[str, str]) -> Path | None:
    """The folder of the user's own Spark configuration."""
    if environ.get("SPARK_CONF_DIR"):
        return Path(environ["SPARK_CONF_DIR"])
    return Path(environ["SPARK_HOME"]) / "conf" if environ.get("SPARK_HOME") else None


def prepare(arguments: list[str], environ: dict[str, str]) -> tuple[str, list[str], dict[str, str]]:
    """The command to become, its arguments and its environment."""
    environ = {name: value for name, value in environ.items() if value or "SPARK" not in name}  # empty is unset
    given = environ.get("SPARK_HOME")
    spark = Path(given) if given else own_spark()
    command = str(spark / "bin" / "spark-submit")
    if arguments == ["--spark-help"]:
        arguments = ["--help"]
    submission = Submission.parse(arguments or [str(ROOT / "jobs" / "demo.py")])
    log_quietly(submission, configured(submission, environ), environ)
    if not any(submission.has(name) for name in NO_JOB):
        if submission.job and not Path(submission.job[0]).exists() and (ROOT / submission.job[0]).is_file():
            submission.job[0] = str(ROOT / submission.job[0])
        complete(submission, environ, spark)
    return command, submission.arguments(), environ


def complete(submission: Submission, environ: dict[str, str], spark: Path) -> None:
    """Adds what the user has not set: master, Python, the package itself, and quiet logs."""
    conf = configured(submission, environ)
    if "spark.ui.showConsoleProgress" not in conf:
        submission.prepend_conf("spark.ui.showConsoleProgress", "false")
    connect = submission.option("--remote") or conf.get("spark.remote") or environ.get("SPARK_REMOTE")
    master = submission.option("--master") or conf.get("spark.master") or environ.get("MASTER") or ""
    if connect and not master:  # the job refuses Spark Connect in a sentence, but must be told
        environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
        environ["SPARK_REMOTE"] = connect
        return
    if not master:
        master = "local[*]"
        submission.options.insert(0, ("--master", master))
    here = re.match(r"local(\[|-cluster\[|$)", master) is not None
    loopback = re.match(r"spark://(localhost|127\.[\d.]+|\[::1\])(:|$)", master) is not None
    own_python = conf.get("spark.pyspark.python") or environ.get("PYSPARK_PYTHON")
    cluster_mode = (submission.option("--deploy-mode") or conf.get("spark.submit.deployMode")) == "cluster"

    if re.match(r"local(\[|$)", master) and not (submission.has("--driver-memory") or "spark.driver.memory" in conf):
        # here the driver is the executor, too: Spark's 1 GB does not hold a line of 100 MB
        submission.prepend_conf("spark.driver.memory", "2g")
    if here and not (java_options(submission, conf) or java_flags(environ)):
        sharing = sharing_options(spark, environ)
        submission.prepend_conf("spark.driver.extraJavaOptions", f"{JAVA_FLAGS} {sharing}".strip())
        theirs = EXECUTOR_OPTIONS in conf or any(EXECUTOR_OPTIONS in text for text in java_environment(environ))
        if sharing and master.startswith("local-cluster") and not theirs:
            submission.prepend_conf(EXECUTOR_OPTIONS, sharing)
    if master.startswith("local-cluster") and "SPARK_HOME" not in environ:
        environ["SPARK_HOME"] = str(spark_home_with_work_folder(spark))
    if here or loopback:
        environ.setdefault("SPARK_HOME", str(spark))
    if not own_python:
        if not conf.get("spark.pyspark.driver.python") and not cluster_mode:
            environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
        if here:
            environ["PYSPARK_PYTHON"] = sys.executable
        elif ARCHIVE.is_file():
            bring_environment(submission, conf)
            if not cluster_mode and not conf.get("spark.pyspark.driver.python"):
                # Spark takes spark.pyspark.python for the driver too, before it looks at PYSPARK_DRIVER_PYTHON.
                submission.prepend_conf("spark.pyspark.driver.python", environ["PYSPARK_DRIVER_PYTHON"])
        elif loopback:
            environ["PYSPARK_PYTHON"] = sys.executable
        else:
            say(
                "the workers' own Python must have numpy, pyarrow and numba; ./spark-submit.sh --pack makes an "
                "archive that brings them"
            )
    if own_python or not here:
        merge(submission, "--py-files", conf.get("spark.submit.pyFiles"), zip_package().as_uri())


def spark_home_with_work_folder(spark: Path) -> Path:
    """A SPARK_HOME of links: local-cluster writes the folder `work` into SPARK_HOME, whatever SPARK_WORKER_DIR says."""
    home = writable_folder() / "spark"
    home.mkdir(exist_ok=True)
    for name in ("bin", "jars", "python"):
        link, target = home / name, spark / name
        if not link.is_symlink() or link.readlink() != target:
            temporary = home / f"{name}.{os.getpid()}"
            temporary.symlink_to(target)
            temporary.replace(link)
    return home


def merge(submission: Submission, option: str, configured_value: str | None, addition: str) -> None:
    """Adds to an option that takes a list, keeping what the user gave."""
    own = submission.option(option) or configured_value
    submission.replace(option, f"{own},{addition}" if own else addition)


def bring_environment(submission: Submission, conf: dict[str, str]) -> None:
    """Sends the packed environment along and makes the workers run its Python."""
    own = submission.option("--archives") or conf.get("spark.archives") or ""
    if f"#{ENVIRONMENT}" not in [name[name.rfind("#") :] for name in own.split(",")]:
        merge(submission, "--archives", conf.get("spark.archives"), f"{ARCHIVE.as_uri()}#{ENVIRONMENT}")
    submission.prepend_conf("spark.pyspark.python", f"./{ENVIRONMENT}/bin/python")
    stamp = ARCHIVE.with_name(f"{ENVIRONMENT}.lock")
    if not stamp.is_file() or stamp.read_bytes() != (ROOT / "requirements.lock").read_bytes():
        say(f"{ARCHIVE} was packed from another requirements.lock: ./spark-submit.sh --pack makes it anew")


def log_quietly(submission: Submission, conf: dict[str, str], environ: dict[str, str]) -> None:
    """Uses our own logging configuration where the user has none."""
    folder = conf_dir(environ)
    if any("log4j" in text for text in java_options(submission, conf) + java_environment(environ)) or (
        folder and any(path.suffix != ".template" for path in folder.glob("log4j2*"))
    ):
        return
    quiet = f"-Dlog4j2.configurationFile={(ROOT / 'w2v_spark' / 'spark' / 'log4j2.properties').as_uri()}"
    environ["SPARK_SUBMIT_OPTS"] = " ".join(filter(None, [environ.get("SPARK_SUBMIT_OPTS"), quiet]))


def java_options(submission: Submission, conf: dict[str, str]) -> list[str]:
    """The options of the driver's JVM that the user gave to Spark."""
    properties = ("spark.driver.extraJavaOptions", "spark.driver.defaultJavaOptions")
    own = (submission.option("--driver-java-options"), *map(conf.get, properties))
    return [text for text in own if text]


def java_environment(environ: dict[str, str]) -> list[str]:
    """The options of the driver's JVM that the user keeps in the environment."""
    names = ("SPARK_SUBMIT_OPTS", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS")
    return [environ[name] for name in names if environ.get(name)]


def java_flags(environ: dict[str, str]) -> list[str]:
    """The flags of the JVM itself in the environment; those within the value of a property (-D) are another JVM's."""
    return [word for text in java_environment(environ) for word in java_words(text) if word.startswith("-X")]


def java_words(text: str) -> list[str]:
    """The options that Java and Spark's launcher read in a text, which quote as a shell does."""
    try:
        return shlex.split(text)
    except ValueError:  # a quote has no end, which Java will tell
        return text.split()


def zip_package() -> Path:
    """The package as a zip file, named by its content, so that a running job's file is never replaced."""
    sources = sorted(
        path for path in (ROOT / "w2v_spark").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sources:
            archive.writestr(
                zipfile.ZipInfo(path.relative_to(ROOT).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED
            )
    content = buffer.getvalue()
    target = writable_folder() / f"w2v_spark-{hashlib.sha256(content).hexdigest()[:12]}.zip"
    if not target.exists():
        temporary = target.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(content)
        temporary.replace(target)
    return target


def writable_folder() -> Path:
    """The checkout's build folder, or where the checkout cannot be written a temporary one that is the user's own."""
    folder = ROOT / "build"
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    # the same one each time, or each submission would leave one behind
    private = Path(tempfile.gettempdir(), f"w2v_spark-build-{os.geteuid()}")
    with contextlib.suppress(OSError):
        private.mkdir(mode=0o700, exist_ok=True)
        found = private.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o077:
            return private
    return Path(tempfile.mkdtemp(prefix="w2v_spark-"))


def say(text: str) -> None:
    """A line for the user, beside what the job prints."""
    print(f"w2v_spark: {text}", file=sys.stderr)


def main() -> NoReturn:
    """Becomes spark-submit, so that its exit status is the job's."""
    command, arguments, environ = prepare(sys.argv[1:], dict(os.environ))
    try:
        os.execve(command, [command, *arguments], environ)
    except OSError as e:
        say(f"cannot run {command}: {e.strerror}; SPARK_HOME must be a Spark installation, or unset for .venv's")
        sys.exit(1)


if __name__ == "__main__":
    main()
