"""pyproject.toml, requirements.lock, environment.yml and the torch pin say the same thing."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

COURSE = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((COURSE / "pyproject.toml").read_text())
LOCK = (COURSE / "requirements.lock").read_text()
TORCH = PROJECT["tool"]["course"]["torch"]
RUNTIME = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
DEVELOPMENT = [Requirement(line) for line in PROJECT["dependency-groups"]["dev"]]
PYTHONS = ("3.11.0", "3.11.14", "3.12.0", "3.13.0")


def entries():
    """The pins of the lock as (name, version, marker or None, hashes)."""
    for block in re.split(r"\n(?=\S)", LOCK.strip()):
        first = re.match(r"([\w.-]+)==(\S+?)(?: ; (.+?))? *\\?$", block.splitlines()[0])
        assert first, f"not a pin: {block.splitlines()[0]}"
        yield canonicalize_name(first[1]), first[2], first[3], re.findall(r"--hash=sha256:([0-9a-f]{64})", block)


def pins(python):
    """Package name -> version that the lock gives a Linux machine with this Python."""
    machine = {"python_full_version": python, "python_version": ".".join(python.split(".")[:2]), "sys_platform": "linux",
               "platform_machine": "x86_64", "os_name": "posix", "implementation_name": "cpython"}
    found = [(name, version) for name, version, marker, _ in entries() if not marker or Marker(marker).evaluate(machine)]
    assert len(found) == len(dict(found)), "two versions of one package for one Python"
    return dict(found)


def test_every_pin_is_hashed_and_nothing_else_is_in_the_lock():
    found = list(entries())
    assert len(found) > 100 and all(hashes for _, _, _, hashes in found)
    assert LOCK[0] not in "#-", "the lock is generated without a header, which would show whose machine made it"
    assert not re.search(r"https?://|file:|^ *-(i|f|-index|-extra|-find)", LOCK, re.MULTILINE)


def test_no_torch_and_no_gpu_libraries_in_the_lock():
    assert not [name for name, *_ in entries() if name in ("torch", "triton") or name.startswith(("nvidia", "cuda"))]
    assert (COURSE / ".ci" / "lock-excludes.txt").read_text().split() == ["torch"]


@pytest.mark.parametrize("python", PYTHONS)
def test_lock_and_torch_pin_fit_the_ranges(python):
    locked = {**pins(python), "torch": TORCH}
    for wanted in RUNTIME + DEVELOPMENT:
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), wanted


def test_environment_yml_is_what_generates_from_the_others():
    text = runpy.run_path(str(COURSE / ".ci" / "environment.py"))["environment"]()
    assert (COURSE / "environment.yml").read_text() == text, "run: python3 .ci/environment.py"


@pytest.mark.parametrize("python", PYTHONS)
def test_environment_yml_pins_every_direct_dependency_at_the_locks_version(python):
    inside = yaml.safe_load((COURSE / "environment.yml").read_text())
    lines = [Requirement(line) for line in inside["dependencies"][-1]["pip"] if not line.startswith("--")]
    here = {canonicalize_name(line.name): str(line.specifier).removeprefix("==") for line in lines
            if not line.marker or line.marker.evaluate({"python_full_version": python})}
    locked = {**pins(python), "torch": TORCH}
    assert here == {canonicalize_name(wanted.name): locked[canonicalize_name(wanted.name)] for wanted in RUNTIME}


def test_every_third_party_import_of_the_helpers_is_asked_for():
    """What helpers import comes from pyproject.toml, not by luck from another package's needs."""
    import ast
    import sys

    distributions = {"yaml": "pyyaml", "faiss": "faiss-cpu", "sentence_transformers": "sentence-transformers", "sklearn": "scikit-learn"}
    through = {"nbformat": "nbclient", "jupyter_client": "nbclient", "IPython": "ipywidgets", "huggingface_hub": "transformers",
               "tokenizers": "transformers", "safetensors": "transformers", "traitlets": "nbclient", "packaging": "transformers"}
    asked = {canonicalize_name(wanted.name) for wanted in RUNTIME}
    for path in sorted((COURSE / "helpers").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else (
                [node.module] if isinstance(node, ast.ImportFrom) else [])
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"helpers"}:
                assert canonicalize_name(distributions.get(top, through.get(top, top))) in asked, f"{path.name} imports {top}"
