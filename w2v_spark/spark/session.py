"""The Spark session: making one, those of a run's own, paths as Spark resolves them, and job descriptions."""

from __future__ import annotations

import logging
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

import pyarrow as pa
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import RDD
from pyspark.errors import PySparkRuntimeError
from pyspark.sql import DataFrame, SparkSession, is_remote

from w2v_spark.errors import InputError, W2VError, pip_install
from w2v_spark.place import path_text
from w2v_spark.spark.builder import new_builder, quiet_java
from w2v_spark.spark.failures import first_line

# what no stage of a run can do with otherwise, whatever a site has set
_OWN_SETTINGS = {
    "spark.sql.files.maxRecordsPerFile": "0",
    # a replica is silent while it trains, and not hung
    "spark.sql.execution.pyspark.udf.idleTimeoutSeconds": "0",
    # Arrow's functions return string and binary, and no batch is as large as they can be
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
    # rounds would leave their shuffles on the executors' disks until Java next collects the driver's garbage, as they
    # do before Spark 4.1, which does not know this
    "spark.sql.classic.shuffleDependency.fileCleanup.enabled": "true",
}
# rows of the model are 1 MB blocks: what Spark reads, sends and writes in one go must be counted in few of them
_BLOCK_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "8",
    # a round is one job; adaptive execution makes a job of each of its stages and has nothing to adapt
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.parquet.columnarReaderBatchSize": "8",
    # one more than there are matrices, metrics among them: once as many are open as allowed, Spark sorts all that is
    # still to come by matrix alone, and a sort that spills does not keep the blocks in order
    "spark.sql.maxConcurrentOutputFileWriters": "4",
    "spark.sql.files.maxPartitionBytes": str(64 << 20),
    # a round's directory is written as a whole; some clusters' sessions have dynamic, which not all committers take
    "spark.sql.sources.partitionOverwriteMode": "static",
}
# words are joined by merging: to broadcast them would bring a small vocabulary to the driver
_NO_BROADCAST = {
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "-1",
}
_TEXT_SETTINGS = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
    # what Arrow and numpy make of so much stays in a core's caches, and a batch of books is no larger than one of lines
    "spark.sql.execution.arrow.maxBytesPerBatch": str(4 << 20),
}


def get_session() -> SparkSession:
    """The session that spark-submit or a notebook has, else a new one on this machine, whose workers run this Python,
    with the Java of the environment where there is no other.
    """
    active = _active()
    if active is not None:
        return active
    try:
        with quiet_java():
            session = new_builder().getOrCreate()
    except PySparkRuntimeError as e:
        if e.getCondition() == "JAVA_GATEWAY_EXITED":
            raise W2VError(_NO_JAVA) from e
        raise
    require_classic(session)
    return session


@contextmanager
def own_session() -> Iterator[SparkSession]:
    """The session that is there, or a new one that ends with the block."""
    if (active := _active()) is not None:
        yield active
        return
    session = get_session()
    _leave_interrupts_to_python()
    try:
        yield session
    except KeyboardInterrupt:
        # it has reached Java and the workers, too, and what they say of each other's end helps nobody
        with suppress(Py4JError, OSError):
            session.sparkContext.setLogLevel("OFF")
        raise
    finally:
        session.stop()


def _leave_interrupts_to_python() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, and no more. pyspark's handler asks Spark to cancel all jobs in the midst of
    a call to Java, which fails and is told by pages of tracebacks; the end of the session cancels them.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # py4j logs every call that an interrupt, or the end of Java, cuts off, partly as the root logger; it raises it, too
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(lambda record: record.module not in ("java_gateway", "clientserver"))


_CONNECT = (
    "training needs a Spark driver of its own, and a Spark Connect session has none: start it with a master (local[*], "
    "yarn, spark://..., k8s://...), without --remote, spark.remote and SPARK_REMOTE"
)


def is_connect(spark: object) -> bool:
    """Whether this is a client of Spark Connect, which may not reach the files that executors read."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def require_classic(spark: object) -> None:
    """Refuse a Spark Connect session: it has no SparkContext, on which rounds and file access are built."""
    if is_connect(spark):
        raise W2VError(_CONNECT)


def _active() -> SparkSession | None:
    """The session that is there already."""
    # asked for before a session of Spark Connect is, which needs packages of its own even to be refused
    if is_remote():
        raise W2VError(_CONNECT)
    active = SparkSession.getActiveSession() or _of_another_thread()
    if active is None and ("SPARK_REMOTE" in os.environ or os.environ.get("SPARK_API_MODE", "").lower() == "connect"):
        raise W2VError(_CONNECT)
    return active


def _of_another_thread() -> SparkSession | None:
    """The application's first session: a thread that has used none yet has no active one."""
    first = SparkSession._instantiatedSession
    return None if first is None or first.sparkContext._jsc is None else first


_NO_JAVA = (
    "Spark could not start Java (its own words are above): it needs Java 17 or newer, in JAVA_HOME or on the PATH; "
    f"{pip_install('jre')} brings one"
)


def is_local(spark: SparkSession) -> bool:
    """Whether tasks run in the driver's own process tree (local[N])."""
    return str(spark.sparkContext.master).startswith("local[") or spark.sparkContext.master == "local"


def local_cores(spark: SparkSession) -> int:
    """Cores of local mode: the N of local[N] and local[N,F]; for * those of the machine, as Java counts them."""
    found = re.match(r"local\[\s*(\d+|\*)", str(spark.sparkContext.master))
    if found is None:
        return 1
    if found[1] != "*":
        return max(1, int(found[1]))
    jvm: Any = spark.sparkContext._jvm
    return int(jvm.java.lang.Runtime.getRuntime().availableProcessors())


def text_session(spark: SparkSession) -> SparkSession:
    """A session of a run's own for stages that read the input, which may be a query with joins of the user's."""
    extra = {"spark.sql.shuffle.partitions": str(2 * local_cores(spark))} if is_local(spark) else {}
    return session_of_its_own(spark, _OWN_SETTINGS | _TEXT_SETTINGS | extra)


def word_session(spark: SparkSession) -> SparkSession:
    """A session of a run's own for stages that read our own tables of words."""
    return session_of_its_own(text_session(spark), _NO_BROADCAST)


def block_session(spark: SparkSession) -> SparkSession:
    """A session of a run's own for stages whose rows are blocks of the model."""
    return session_of_its_own(spark, _OWN_SETTINGS | _BLOCK_SETTINGS | _NO_BROADCAST)


def session_of_its_own(spark: SparkSession, settings: Mapping[str, str]) -> SparkSession:
    """A copy of a session, with all that is set there, and these settings. Set in the user's session they would reach
    what other threads do in it, and runs in threads at once would take each other's for the user's.
    """
    with _nothing_noted(spark):
        copy = SparkSession(spark.sparkContext, cast(Any, spark._jsparkSession).cloneSession())
    for name, value in settings.items():
        copy.conf.set(name, value)
    return copy


def in_session(frame: DataFrame, session: SparkSession) -> DataFrame:
    """The same rows, computed with the settings of another session of the application."""
    jvm: Any = session._jvm
    plan = frame._jdf.queryExecution().analyzed()
    return DataFrame(jvm.org.apache.spark.sql.classic.Dataset.ofRows(session._jsparkSession, plan), session)


def frame_of(spark: SparkSession, table: pa.Table) -> DataFrame:
    """The rows of a table, by a session that does not become the active one."""
    with _nothing_noted(spark):
        return spark.createDataFrame(table)


_NOTING = threading.Lock()


@contextmanager
def _nothing_noted(spark: SparkSession) -> Iterator[None]:
    """Restores after the block what pyspark notes for all threads when a session is made or used: which one is active,
    and by which one `RDD.toDF` makes DataFrames.
    """
    jvm: Any = spark._jvm
    noted = jvm.org.apache.spark.sql.classic.SparkSession
    with _NOTING:
        by_rdd, active, of_this_thread = RDD.toDF, SparkSession._activeSession, noted.getActiveSession()
        try:
            yield
        finally:
            RDD.toDF, SparkSession._activeSession = by_rdd, active  # type: ignore[method-assign]
            if of_this_thread.isDefined():
                noted.setActiveSession(of_this_thread.get())
            else:
                noted.clearActiveSession()


def qualify(spark: SparkSession, path: str | os.PathLike[str], what: str = "path") -> str:
    """The path as a URI, resolved against Spark's default file system and, where that is local, the working
    directory; `what` is what errors call it.
    """
    text = path_text(path, what)
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise InputError(f"{what} {text!r} is not UTF-8, which Spark needs: rename it") from e
    whole = text.startswith("/") or ":/" in text
    try:
        found, files = hadoop_path(spark, text if whole else _from_working_directory(spark, text))
        return str(files.makeQualified(found).toString())
    except Py4JJavaError as e:
        raise InputError(f"cannot open {text}: {first_line(e.java_exception.getMessage())}") from e


def exists(spark: SparkSession, address: str) -> bool:
    """Whether something lies at an address, on any file system of Spark's."""
    path, files = hadoop_path(spark, address)
    return bool(files.exists(path))


def hadoop_path(spark: SparkSession, address: str) -> tuple[Any, Any]:
    """An address, or a pattern of several, as Hadoop has it, and its file system."""
    jvm: Any = spark.sparkContext._jvm
    path = jvm.org.apache.hadoop.fs.Path(address)
    return path, path.getFileSystem(_hadoop_configuration(spark))


def _hadoop_configuration(spark: SparkSession) -> Any:
    """What Spark's readers go by: that of the application with what is set in the session, credentials for one."""
    return cast(Any, spark._jsparkSession).sessionState().newHadoopConf()


def _from_working_directory(spark: SparkSession, path: str) -> str:
    default = str(_hadoop_configuration(spark).get("fs.defaultFS", "file:///"))
    return os.path.abspath(path) if default.startswith("file:") else path


@contextmanager
def described(spark: SparkSession, text: str) -> Iterator[None]:
    """Jobs started in the block carry this description in the Spark UI."""
    before = spark.sparkContext.getLocalProperty("spark.job.description")
    spark.sparkContext.setJobDescription(f"w2v_spark: {text}")
    try:
        yield
    finally:
        spark.sparkContext.setJobDescription(before)  # type: ignore[arg-type]  # None takes it away
