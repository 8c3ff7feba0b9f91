"""Launch badges, the Colab cell, Binder: the doors through which people come who did not clone the course."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from helpers import CourseError, colab, doors, running

COURSE = Path(__file__).resolve().parent.parent
NOTEBOOKS = doors.notebooks()
WHERE = doors.address()


def git(*arguments, cwd=COURSE):
    return subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True).stdout


def working_tree():
    """Paths of the course's own files: tracked, or new and not ignored."""
    try:
        listed = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this copy of the course is no git repository")
    return [COURSE / name for name in listed if name and (COURSE / name).is_file()]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_has_its_badges_and_its_setup_cell(path):
    notebook = nbformat.read(path, as_version=4)
    assert [cell.source for cell in tagged(notebook, "badges")] == [doors.badges(path)], "run: python -m helpers.doors"
    assert [cell.source for cell in tagged(notebook, "colab")] == [doors.setup_cell(path)], "run: python -m helpers.doors"
    assert "colab" in next(cell for cell in notebook.cells if cell.cell_type == "code").metadata.get("tags", []), "not the first code cell"


def test_addresses_of_the_badges():
    lab = COURSE / "notebooks" / "labs" / "x.ipynb"
    repository, tag = WHERE["repository"], WHERE["tag"]
    assert f"(https://colab.research.google.com/github/{repository}/blob/{tag}/notebooks/labs/x.ipynb)" in doors.badges(lab)
    assert f"(https://mybinder.org/v2/gh/{repository}/{tag}?urlpath=lab/tree/notebooks/labs/x.ipynb)" in doors.badges(lab)


def test_setup_cell_is_short_and_knows_its_folder():
    source = doors.setup_cell(COURSE / "notebooks" / "labs" / "x.ipynb")
    assert len(source.splitlines()) <= 10 and source.startswith("#")
    assert '!= "labs"' in source and "/notebooks/labs" in source


def test_stamp_needs_both_cells():
    with pytest.raises(CourseError, match="tagged 'badges'"):
        doors.stamp(nbformat.v4.new_notebook(), COURSE / "notebooks" / "x.ipynb")


def test_every_lab_belongs_to_one_lesson():
    lessons = sorted((COURSE / "notebooks").glob("*.ipynb"))
    owned = [lab for lesson in lessons for lab in doors.labs(lesson)]
    assert sorted(owned) == sorted((COURSE / "notebooks" / "labs").glob("*.ipynb"))


def test_readme_table():
    readme = COURSE / "README.md"
    found = doors.TABLE.search(readme.read_text())
    assert found and found.group() == doors.lesson_table(), "run: python -m helpers.doors"


def test_address_and_tag_stand_in_one_place():
    """Apart from what helpers.doors writes, only pyproject.toml names the repository, or the tag in a link."""
    generated = {*NOTEBOOKS, COURSE / "README.md", COURSE / "pyproject.toml", Path(__file__)}
    for path in working_tree():
        if path not in generated and path.suffix in (".py", ".md", ".yml", ".toml", ".sh", "") and path.stat().st_size < 10**6:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert WHERE["repository"] not in text, path
            assert WHERE["tag"] not in text, path


# ---- Binder --------------------------------------------------------------------------------------------------------

def test_binder_build(tmp_path):
    """repo2docker, which Binder uses, accepts .binder/ and runs postBuild. Needs neither Docker nor a network."""
    shutil.copytree(COURSE / ".binder", tmp_path / ".binder")
    done = subprocess.run([sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(tmp_path)], capture_output=True, text=True)
    dockerfile = done.stdout + done.stderr
    assert done.returncode == 0, dockerfile
    assert "RUN ./.binder/postBuild" in dockerfile and '--file ".binder/environment.yml"' in dockerfile


@pytest.mark.skipif(os.name == "nt", reason="Windows has no executable bit")
def test_scripts_are_executable():
    for name in (".binder/postBuild", ".ci/run"):
        assert os.access(COURSE / name, os.X_OK), name
    assert (COURSE / ".binder" / "postBuild").read_text().split("\n")[1:3] == ["set -eu", "python3 course.py warm --here"]


# ---- Colab ---------------------------------------------------------------------------------------------------------

def run_cell(source, folder, **variables):
    """Run a setup cell as a kernel started in `folder` would, then import helpers; the last printed line says where."""
    code = source + "\nimport helpers\nprint(Path.cwd(), helpers.COURSE, sep='|')"
    kept = {name: value for name, value in os.environ.items() if name not in ("COLAB_RELEASE_TAG", "PYTHONPATH")}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env={**kept, **variables}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A repository with the course as it lies here, committed and tagged: it stands in for the published one."""
    repository = tmp_path_factory.mktemp("published")
    for path in working_tree():
        copy = repository / path.relative_to(COURSE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
    git("init", "-q", cwd=repository)
    git("add", "-A", cwd=repository)
    git(*who, "commit", "-q", "--no-verify", "-m", "The course", cwd=repository)
    git(*who, "tag", WHERE["tag"], cwd=repository)
    return repository


def test_setup_cell_elsewhere_is_silent_and_finds_the_course():
    for folder, path in ((COURSE / "notebooks", "x.ipynb"), (COURSE, "x.ipynb"), (COURSE / "tests", "labs/x.ipynb")):
        if folder.exists():
            done = run_cell(doors.setup_cell(COURSE / "notebooks" / path), folder)
            assert done.returncode == 0 and done.stdout.count("\n") == 1, done.stdout + done.stderr
            assert Path(done.stdout.strip().split("|")[1]) == COURSE


def test_setup_cell_on_colab_fetches_the_course_at_its_tag(published, tmp_path):
    source = doors.setup_cell(COURSE / "notebooks" / "x.ipynb")
    place = tmp_path / WHERE["repository"].split("/")[1]
    for _ in range(2):  # the second time is a restarted kernel: the clone is there
        done = run_cell(source, tmp_path, COLAB_RELEASE_TAG="release", COURSE_REPOSITORY=published.as_uri())
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{place / 'notebooks'}|{place}"
        assert "course is ready" in done.stdout
    assert git("describe", "--tags", cwd=place).strip() == WHERE["tag"]


def test_first_lesson_runs_from_an_empty_folder_on_colab(published, tmp_path, monkeypatch):
    lesson = COURSE / "notebooks" / "01_rag_basics.ipynb"
    alone = Path(shutil.copy(lesson, tmp_path))  # Colab opens the notebook without the rest of the course
    variables = {"COLAB_RELEASE_TAG": "release", "COURSE_REPOSITORY": published.as_uri(), "COURSE_DATA": str(tmp_path / "data"),
                 "COURSE_RESULTS": str(tmp_path / "results.jsonl"), "COURSE_QUICK": "1", "COURSE_STRICT": "0"}
    running.execute(running.load(alone), alone, variables)
    written = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert {"rag.answers", "rag.retrieval", "rag.update"} <= {line["experiment"] for line in written}


def test_colab_installs_only_what_is_missing(tmp_path):
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["torch>=99", "numpy>=99", "no-such-package-anywhere>=1,<2", "jupyterlab>=4"]\n')
    assert colab.missing(project) == {"no-such-package-anywhere": "no-such-package-anywhere>=1,<2"}


@pytest.mark.parametrize("version, old", [(None, False), ("0.10.0", True), ("0.15.1+cpu", True), ("0.16.0", False), ("1.0", False)])
def test_colab_removes_only_a_torchao_that_peft_refuses(version, old):
    assert colab.too_old(version) is old


def test_colab_main_in_order(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(colab, "pip", lambda *arguments: done.append(arguments))
    monkeypatch.setattr(colab, "missing", lambda pyproject: {"bm25s": "bm25s>=0.2,<1"})
    monkeypatch.setattr(colab, "installed", {"torchao": "0.10.0"}.get)
    colab.main()
    assert done == [("uninstall", "-y", "torchao"), ("install", "bm25s>=0.2,<1")]
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_colab_says_in_one_sentence_that_pip_failed():
    with pytest.raises(SystemExit, match="^course: pip install failed .*Disconnect and delete runtime"):
        colab.pip("install", "--no-index", "no-such-package-anywhere")


def test_nothing_is_missing_here():
    """The packages of this environment suffice for Colab's script, so that the tests above install nothing."""
    assert colab.missing(COURSE / "pyproject.toml") == {}
    assert importlib.metadata.version("numpy")
