"""Prepare Colab's own Python for the course: run as a script by each notebook's first cell, standard library only.

It adds the packages that are missing and leaves those that are there, PyTorch above all, at the versions Colab chose.
"""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

LEFT_ALONE = ("torch", "jupyterlab")  # Colab has its own of both
TORCHAO = (0, 16)  # peft refuses to work beside an older one, and the course does not need it


def installed(name):
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def missing(pyproject):
    """The packages of pyproject.toml of which no version is installed, as {name: requirement with its range}."""
    wanted = tomllib.loads(Path(pyproject).read_text(encoding="utf-8"))["project"]["dependencies"]
    named = {re.match(r"[\w.-]+", line).group(): line for line in wanted}
    return {name: line for name, line in named.items() if name not in LEFT_ALONE and installed(name) is None}


def too_old(version):
    """Whether this version of torchao (None: not installed) is one that peft refuses."""
    return version is not None and tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < TORCHAO


def pip(*arguments):
    """Run pip quietly; exit with one sentence where it fails."""
    done = subprocess.run([sys.executable, "-m", "pip", *arguments, "-q", "--disable-pip-version-check"], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        sys.exit(f"course: pip {arguments[0]} failed ({said[-1]}): use Runtime, then Disconnect and delete runtime, and run this cell again.")


def main():
    if too_old(installed("torchao")):
        print("Removing an old torchao, which the course does not use and peft refuses ...", flush=True)
        pip("uninstall", "-y", "torchao")
    wanted = missing(Path(__file__).resolve().parent.parent / "pyproject.toml")
    if wanted:
        print(f"Installing {', '.join(wanted)} ...", flush=True)
        pip("install", *wanted.values())
    print("The course is ready on this machine.", flush=True)


if __name__ == "__main__":
    main()
