"""The reference run keeps records with their provenance, resumes, and notices what has become stale."""

import json
import re

import nbformat
import pytest

from helpers import CourseError, doors, reference, running


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one small notebook that writes a record with its seed and size."""
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "01_small.ipynb"
    code = (
        "import json, os\n"
        "line = dict(notebook='01_small', experiment='a.b', arm='x', group='all', metric='m', value=0.5, low=0.4, high=0.6, n=9, unit='fraction',\n"
        "            seed=int(os.environ['COURSE_SEED']), claims=['R1'], source='run', size=os.environ['COURSE_SIZE'], model='m', precision='fp32',\n"
        "            data_version='000000000000')\n"
        "open(os.environ['COURSE_RESULTS'], 'a').write(json.dumps(line) + '\\n' + json.dumps({**line, 'value': 0.55}) + '\\n')"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)]), path)
    return tmp_path, path, tmp_path / "data" / "reference"


def test_records_and_provenance_are_kept_and_a_second_run_resumes(course, capsys):
    _, path, folder = course
    reference.run([path], seeds=(0, 1), folder=folder)
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert [(line["seed"], line["source"], line["size"], line["value"]) for line in lines] == [(0, "reference", "full", 0.55), (1, "reference", "full", 0.55)]
    rows = reference.provenance(folder)
    assert list(rows) == ["01_small/0", "01_small/1"] and rows["01_small/0"]["records"] == 1 and rows["01_small/0"]["inputs"] == reference.inputs(path)
    before = (folder / "results.jsonl").read_bytes()
    capsys.readouterr()
    reference.run([path], seeds=(0, 1), folder=folder)
    assert capsys.readouterr().out.count("there already") == 2 and (folder / "results.jsonl").read_bytes() == before


def test_changed_code_makes_records_stale_and_they_are_made_anew(course):
    root, path, folder = course
    reference.run([path], seeds=(0,), folder=folder)
    assert reference.stale(folder, root) == []
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += "\n# another thought"
    nbformat.write(notebook, path)
    assert reference.stale(folder, root) == ["01_small/0"]
    path.unlink()
    assert reference.stale(folder, root) == ["01_small/0"]


def test_an_edit_during_the_run_leaves_the_records_stale(course, monkeypatch):
    root, path, folder = course

    def edited_meanwhile(notebook, *rest):
        done = running_execute(notebook, *rest)
        later = nbformat.read(path, as_version=4)
        later.cells[0].source += "\n# another thought"
        nbformat.write(later, path)
        return done

    running_execute = running.execute
    monkeypatch.setattr(running, "execute", edited_meanwhile)
    reference.run([path], seeds=(0,), folder=folder)
    assert reference.stale(folder, root) == ["01_small/0"]


def test_what_is_current_is_made_again_on_demand(course, capsys):
    _, path, folder = course
    reference.run([path], seeds=(0,), folder=folder)
    capsys.readouterr()
    reference.run([path], seeds=(0,), folder=folder, again=True)
    assert "there already" not in capsys.readouterr().out and len((folder / "results.jsonl").read_text().splitlines()) == 1


def test_a_failing_notebook_leaves_what_was_finished(course):
    root, path, folder = course
    reference.run([path], seeds=(0,), folder=folder)
    broken = root / "notebooks" / "02_broken.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), broken)
    with pytest.raises(running.CellFailed, match="ZeroDivisionError"):
        reference.run([broken], seeds=(0,), folder=folder)
    assert list(reference.provenance(folder)) == ["01_small/0"] and not list(folder.glob("*.part"))


def test_the_records_that_ship_are_current():
    """Fails when data, code or weights have moved on since the reference run: run `python3 course.py reference`."""
    assert reference.stale() == []
    stems = {path.stem for path in doors.notebooks()}
    assert {key.rpartition("/")[0] for key in reference.provenance()} <= stems


def test_an_unknown_notebook_is_told():
    with pytest.raises(CourseError, match="no notebook"):
        running.find(["99_nothing"])


def shipped():
    """Name → (rows, recipe) of the adapters that come with the course, as the lessons train them."""
    from helpers import dosing, llm, reading, recipes, rows, tasks, world

    model = llm.load_model()
    return model, {
        "triage": (rows.sorting_rows(model, tasks.load_triage("train")), recipes.TRIAGE),
        "style": (rows.style_rows(model, tasks.load_style("train")), recipes.STYLE),
        "rule": (dosing.rule_rows(model, world.load_questions(("rule",), split="train"), passes=10, sum_shown=True), recipes.RULE),
        "recite": (rows.recite_rows(model, rows.taught(), old=True, copies=9), recipes.RECITE),
        "desk": (reading.reading_rows(model), recipes.DESK),
    }


def test_the_shipped_adapters_were_made_from_this_data_by_these_recipes():
    from helpers import adapters

    model, made = shipped()
    assert {path.name for path in adapters.SHIPPED.iterdir()} == set(made)
    for name, (some, recipe) in made.items():
        adapter = adapters.load(adapters.SHIPPED / name)
        adapters.check_made_from(adapter, adapters.place(model, some, recipe).name)
        assert adapter.report["base"] == adapters.base_key() and recipe.rank <= 8 and recipe.seed == 0
    assert sum(path.stat().st_size for path in adapters.SHIPPED.rglob("*")) < 25e6


def test_no_shipped_adapter_saw_a_test_medicine():
    from helpers import world

    model, made = shipped()
    facts = {q.facts[0] for q in world.load_questions(("stable_unseen",)) if q.subject_split == "unseen_test"}
    unseen = {fact.subject for fact in world.load_facts() if fact.fact_id in facts and fact.subject[0].isupper()}
    for name, (some, _) in made.items():
        told = " ".join(reply for _, reply in some)
        named = {subject for subject in unseen if re.search(rf"\b{re.escape(subject)}\b", told)}
        assert not named, (name, named)
