"""The peers that come from the package registry, in an environment of their own."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import job

PACKAGES = {"gensim": "gensim==4.4.0", "fasttext": "fasttext-numpy2-wheel==0.9.2"}


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and what could not be installed into it, with pip's last words."""

    python: Path
    missing: dict[str, str]

    def run(self, code: str) -> str | None:
        """What a line of Python prints there; None where it fails."""
        done = subprocess.run([self.python, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return None if done.returncode else done.stdout.strip()

    def version(self, package: str) -> str | None:
        return self.run(f"import importlib.metadata as m; print(m.version({package!r}))")

    def test_set(self, name: str) -> Path | None:
        """A file of those that gensim brings to test itself with."""
        places = "__import__('importlib.util').util.find_spec('gensim').submodule_search_locations"
        folder = self.run(f"print({places}[0])")
        path = Path(folder or "", "test", "test_data", name)
        return path if folder and path.is_file() else None


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option that says where the environment lies."""
    parser.add_argument(
        "--environment",
        type=Path,
        default=job.ROOT / "build" / "peers",
        metavar="DIR",
        help="where peers of the registry are installed (default build/peers)",
    )


def prepare(folder: Path, names: list[str]) -> Environment:
    """Make the environment where it is not there yet, and install what these peers need."""
    python = folder / "bin" / "python"
    if not python.exists():
        job.say(f"making {folder} for the peers ...")
        job.run([sys.executable, "-m", "venv", str(folder)])
    found = Environment(python, {})
    for name in names:
        package, _, version = PACKAGES[name].partition("==")
        if found.version(package) != version:
            job.say(f"installing {PACKAGES[name]} ...")
            command = [
                python,
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
                "--only-binary=:all:",
            ]
            done = subprocess.run(
                [*command, PACKAGES[name]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if done.returncode:
                found.missing[name] = done.stdout.strip().rpartition("\n")[2]
    return found
