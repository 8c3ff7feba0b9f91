"""`course.py run`: notebooks run headless, their results collected per the contract, their outputs saved without a trace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import CourseError, doors, running

COURSE = Path(__file__).resolve().parent.parent
LESSON = COURSE / "notebooks" / "01_rag_basics.ipynb"
RECORD = """
import json, os
with open(os.environ["COURSE_RESULTS"], "a") as file:
    file.write(json.dumps({{"notebook": {0!r}, "value": {1}}}) + "\\n")
"""


def notebook(*sources, **metadata):
    cells = [new_markdown_cell("badges", metadata={"tags": ["badges"]}), new_code_cell("pass", metadata={"tags": ["colab"]})]
    return new_notebook(cells=cells + [new_code_cell(source) for source in sources], metadata={"course": {"minutes": 1}, **metadata})


@pytest.fixture
def course(tmp_path):
    """A small course with two notebooks and a lab, in a folder of its own."""
    root = tmp_path / "course"
    (root / "notebooks" / "labs").mkdir(parents=True)
    (root / "course.py").touch()
    (root / "pyproject.toml").write_text((COURSE / "pyproject.toml").read_text())
    for place, sources in {
        "02_second": [RECORD.format("02_second", 2), "print('done')"],
        "01_first": [RECORD.format("01_first", 1), "import os, sys\nprint(os.getcwd())\nprint(sys.executable)", "40 + 2"],
        "labs/small": [RECORD.format("small", 3)],
    }.items():
        nbformat.write(notebook(*sources), root / "notebooks" / f"{place}.ipynb")
    return root


def results(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def printed(path):
    return "".join(output.get("text", "") for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", []))


def test_lessons_come_before_labs_and_names_come_in_three_forms(course, monkeypatch):
    assert [path.stem for path in running.find([], course)] == ["01_first", "02_second", "small"]
    monkeypatch.chdir(course)
    found = running.find(["small", "01_first.ipynb", "notebooks/02_second.ipynb", "small"], course)
    assert [path.stem for path in found] == ["small", "01_first", "02_second"]


@pytest.mark.parametrize("name", ["03_third", "course.py", "notebooks"])
def test_wrong_name(course, name):
    with pytest.raises(CourseError, match=f"no notebook '{name}': choose from 01_first, 02_second, small"):
        running.find([name], course)


def test_out_has_the_executed_notebooks_and_the_results(course, tmp_path, capsys):
    out = tmp_path / "out"
    before = (course / "notebooks" / "01_first.ipynb").read_bytes()
    running.run(running.find([], course), out, root=course)
    assert sorted(path.name for path in out.iterdir()) == ["01_first.ipynb", "02_second.ipynb", "report.html", "results.jsonl", "small.ipynb"]
    assert [line["value"] for line in results(out)] == [1, 2, 3]
    folder, python = printed(out / "01_first.ipynb").split("\n")[:2]
    assert folder == str(course / "notebooks") and python == sys.executable
    assert (course / "notebooks" / "01_first.ipynb").read_bytes() == before
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].split()[0] == "01_first" and "5 cells" in lines[0] and "GB" in lines[0]


def test_out_passes_on_the_reference_of_the_notebooks_that_ran(course, tmp_path):
    reference = course / "data" / "reference"
    reference.mkdir(parents=True)
    lines = [{"notebook": name, "source": "reference"} for name in ("02_second", "01_first", "other")]
    (reference / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    running.run(running.find(["02_second"], course), tmp_path / "out", root=course)
    assert results(tmp_path / "out") == [{"notebook": "02_second", "value": 2}, lines[0]]


def test_the_learners_own_results_are_not_touched(course, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(own))
    monkeypatch.setenv("COURSE_RESULTS", str(own / "results.jsonl"))
    running.run(running.find([], course), root=course)
    assert list(own.iterdir()) == []


def test_a_failing_cell_is_named_and_nothing_half_is_left(course, tmp_path):
    path = course / "notebooks" / "02_second.ipynb"
    nbformat.write(notebook("# a comment\nratio = 1 / 0", "print('never')"), path)
    before, out = path.read_bytes(), tmp_path / "out"
    with pytest.raises(running.CellFailed, match=r"02_second.ipynb, cell 3 \(ratio = 1 / 0\): ZeroDivisionError: division by zero"):
        running.run(running.find([], course), out, save=True, root=course)
    assert [path.name for path in out.iterdir()] == ["02_second.failed.ipynb"]
    last = nbformat.read(out / "02_second.failed.ipynb", 4).cells
    assert last[2].outputs[0].ename == "ZeroDivisionError" and not last[3].outputs
    assert path.read_bytes() == before
    nbformat.write(notebook("1"), path)
    running.run(running.find(["02_second"], course), out, root=course)
    assert sorted(path.name for path in out.iterdir()) == ["02_second.ipynb", "report.html", "results.jsonl"]


def test_a_dead_kernel_and_an_endless_cell_are_named(course, monkeypatch):
    path = course / "notebooks" / "01_first.ipynb"
    nbformat.write(notebook("import os, time\nos._exit(1)\ntime.sleep(60)"), path)
    with pytest.raises(running.CellFailed, match="cell 3 .*the kernel died"):
        running.run([path], root=course)
    monkeypatch.setattr(running, "CELL_SECONDS", 1)
    nbformat.write(notebook("while True: pass"), path)
    with pytest.raises(running.CellFailed, match="cell 3 .*did not end"):
        running.run([path], root=course)


def test_save_twice_gives_the_same_file_with_no_trace_of_the_machine(course):
    path = course / "notebooks" / "01_first.ipynb"
    dirty = notebook("print('one')\nprint('two')", "", "41 + 1", widgets={"state": {}}, colab={"provenance": []},
                     kernelspec={"name": "my-env", "display_name": "My env"}, language_info={"name": "python", "version": "3.9.9"})
    for cell in dirty.cells:
        cell.metadata.update(execution={"iopub.execute_input": "now"}, ExecuteTime={}, collapsed=True)
        del cell["id"]
    dirty.nbformat_minor = 4
    path.write_text(json.dumps(dirty))
    running.run([path], save=True, root=course)
    first = path.read_bytes()
    running.run([path], save=True, root=course)
    assert path.read_bytes() == first
    saved = nbformat.read(path, 4)
    nbformat.validate(saved)
    assert saved.metadata == {"course": {"minutes": 1}, "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                              "language_info": {"name": "python"}}
    assert [cell.metadata for cell in saved.cells] == [{"tags": ["badges"]}, {"tags": ["colab"]}, {}, {}, {}]
    assert [cell.get("execution_count") for cell in saved.cells] == [None, 1, 2, None, 3]
    assert saved.cells[2].outputs == [{"name": "stdout", "output_type": "stream", "text": "one\ntwo\n"}]
    assert saved.cells[4].outputs[0].execution_count == 3 and saved.cells[4].outputs[0].data == {"text/plain": "42"}
    assert saved.cells[0].source == doors.badges(path, course) and saved.cells[1].source == doors.setup_cell(path, course)


def test_save_leaves_no_widget_behind(course):
    path = course / "notebooks" / "01_first.ipynb"
    nbformat.write(notebook("import ipywidgets\nprint('before')\ndisplay(ipywidgets.IntSlider())"), path)
    running.run([path], save=True, root=course)
    assert [output.output_type for output in nbformat.read(path, 4).cells[2].outputs] == ["stream"]


def test_a_kernel_of_the_same_name_elsewhere_is_not_taken(course, tmp_path, monkeypatch):
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(json.dumps({"argv": ["no-such-python"], "display_name": "Other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    running.run(running.find(["01_first"], course), tmp_path / "out", root=course)
    assert sys.executable in printed(tmp_path / "out" / "01_first.ipynb")


def test_peak_memory_counts_what_was_freed_again(course, tmp_path):
    path = course / "notebooks" / "01_first.ipynb"
    nbformat.write(notebook("held = bytearray(300_000_000)\nheld[::4096] = b'x' * len(held[::4096])\ndel held"), path)
    _, large = running.execute(running.load(path), path, {})
    nbformat.write(notebook("pass"), path)
    _, small = running.execute(running.load(path), path, {})
    assert 0.28 < large - small < 0.4


@pytest.mark.parametrize("text", ["", "[]", "{\"cells\": 3}", "{\"cells\": [], \"nbformat\": 4}"])
def test_a_file_that_is_no_notebook(tmp_path, text):
    path = tmp_path / "x.ipynb"
    path.write_text(text)
    with pytest.raises(CourseError, match="x.ipynb is not a notebook .*restore it"):
        running.load(path)


def test_out_that_is_a_file(course, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(CourseError, match="Cannot put results into .*out .*--out"):
        running.run(running.find([], course), tmp_path / "out", root=course)


def test_errors_on_the_command_line_are_one_sentence():
    done = subprocess.run([sys.executable, "-m", "helpers.running", "99_none"], cwd=COURSE, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("course: There is no") and done.stderr.count("\n") == 1


# ---- The contract, on the real lesson ------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def lesson(tmp_path_factory):
    """The lines of results.jsonl that the first lesson leaves; it runs once for all tests."""
    out = tmp_path_factory.mktemp("lesson")
    done = subprocess.run([sys.executable, "course.py", "run", "--here", LESSON.stem, "--out", str(out)], cwd=COURSE,
                          capture_output=True, text=True, env={**os.environ, "COURSE_QUICK": "1", "COURSE_STRICT": "0"})
    assert done.returncode == 0, done.stderr
    return results(out)


def figures(lesson, experiment, group="all"):
    """(arm, metric) -> line of an experiment's figures on this machine, of one group of questions."""
    return {(line["arm"], line["metric"]): line for line in lesson
            if line["experiment"] == experiment and line["group"] == group and line["source"] == "run"}


def test_every_line_keeps_to_the_schema(lesson):
    schema = json.loads((COURSE / "data" / "schemas" / "result.schema.json").read_text())
    check = jsonschema.Draft202012Validator(schema)
    assert lesson and [error.message for line in lesson for error in check.iter_errors(line)] == []


def test_keys_are_unique(lesson):
    keys = [tuple(line[name] for name in ("experiment", "arm", "group", "metric", "seed", "source")) for line in lesson]
    assert len(keys) == len(set(keys))


def test_answers_of_all_arms_with_intervals(lesson):
    lines = figures(lesson, "rag.answers")
    assert {arm for arm, _ in lines} >= {"base", "few_shot", "retrieved", "few_shot_retrieved", "oracle", "random"}
    for line in lines.values():
        assert line["unit"] != "fraction" or line["low"] <= line["value"] <= line["high"], line


def test_retrieval_of_all_arms_and_metrics(lesson):
    lines = figures(lesson, "rag.retrieval")
    wanted = {(arm, metric) for arm in ("keyword", "dense", "fused") for metric in ("recall@1", "recall@3", "mrr", "ndcg@10")}
    assert wanted <= set(lines)
    for arm in ("keyword", "dense", "fused"):
        assert lines[arm, "recall@1"]["value"] <= lines[arm, "mrr"]["value"] <= 1
        assert lines[arm, "recall@1"]["value"] <= lines[arm, "recall@3"]["value"]


def test_update_of_all_arms_and_metrics(lesson):
    assert ("new", "stale") in figures(lesson, "rag.update", "changed")
    lines = figures(lesson, "rag.update")
    assert {(arm, metric) for arm in ("old", "mixed", "new") for metric in ("contains", "stale", "seconds")} <= set(lines)
    assert lines["new", "contains"]["value"] > lines["old", "contains"]["value"]
    assert lines["old", "stale"]["value"] > lines["new", "stale"]["value"]
