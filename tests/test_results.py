"""The results contract: every line fits the schema, the last line with a key wins, damage is told."""

import json

import jsonschema
import pytest

from helpers import COURSE, CourseError, adapters, lessons, results, stats

SCHEMA = json.loads((COURSE / "data" / "schemas" / "result.schema.json").read_text())


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_RESULTS", raising=False)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "mine"))
    results.set_notebook("00_test")
    yield tmp_path / "mine"
    results.set_notebook(None)


def test_a_line_fits_the_contract(own_folder):
    line = results.record_scores("rag.answers", "base", "contains", [1, 0, 0, 1], ["a", "a", "b", "c"], claims=["R5"])
    jsonschema.validate(line, SCHEMA)
    assert line["value"] == pytest.approx((0.5 + 0 + 1) / 3) and line["n"] == 3 and line["low"] <= line["value"] <= line["high"]
    assert json.loads((own_folder / "results.jsonl").read_text()) == line
    jsonschema.validate(results.record("rag.update", "new", "seconds", 0.2, n=1, unit="s"), SCHEMA)


def test_the_last_line_of_a_key_wins():
    for value in (0.1, 0.9):
        results.record("rag.update", "new", "seconds", value, n=1, unit="s")
    results.record("rag.update", "old", "seconds", 5, n=1, unit="s")
    table = results.load()
    assert sorted(table.value) == [0.9, 5] and set(table.columns) == set(SCHEMA["properties"])
    assert results.load("reference", path=results.results_file()).empty


def test_a_file_of_its_own_is_used_when_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path / "out" / "results.jsonl"))
    results.record("rag.update", "new", "seconds", 1, n=1, unit="s")
    assert (tmp_path / "out" / "results.jsonl").exists()


@pytest.mark.parametrize("arguments, said", [
    (dict(estimate=stats.Estimate(1.2, 1, 1.3, 5)), "a fraction needs"),
    (dict(estimate=0.5, n=5), "a fraction needs"),
    (dict(estimate=stats.Estimate(0.5, 0.6, 0.7, 5)), "a fraction needs"),
    (dict(estimate=1.0, unit="s"), "n is None"),
    (dict(estimate=1.0, unit="furlong", n=1), "unit is 'furlong'"),
])
def test_what_breaks_the_contract_is_refused(arguments, said):
    with pytest.raises(CourseError, match=said):
        results.record("rag.answers", "base", "contains", **arguments)
    assert results.load().empty


def test_no_notebook_no_record():
    results.set_notebook(None)
    with pytest.raises(CourseError, match="No notebook is named"):
        results.record("rag.update", "new", "seconds", 1, n=1, unit="s")


@pytest.mark.parametrize("damaged", [b'{"half": \n', b'{"caf\xe9": 1}\n'])
def test_a_damaged_line_is_named(own_folder, damaged):
    results.record("rag.update", "new", "seconds", 1, n=1, unit="s")
    with open(own_folder / "results.jsonl", "ab") as file:
        file.write(damaged)
    with pytest.raises(CourseError, match="line 2 is not a result"):
        results.load()


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(CourseError, match="set COURSE_DATA"):
        results.data_folder()


def test_guesses_are_kept_and_set_beside_the_measurement(monkeypatch):
    said = []
    monkeypatch.setattr(lessons, "say", said.append)
    lessons.predict("base", "How many of 36?", guess=None)
    assert "Write your number" in said[-1] and lessons.predictions() == {}
    assert lessons.against_guess("base", 2) == ""
    lessons.predict("base", "How many of 36?", guess=12)
    assert "**12**" in said[-1] and lessons.predictions()["base"]["guess"] == 12
    assert "You guessed 12; it came out at 2." in lessons.against_guess("base", 2)
    assert "For the base model you guessed 12; it came out at 2." in lessons.against_guess("base", 2, of="the base model")
    with pytest.raises(CourseError, match="write a number"):
        lessons.predict("base", "How many of 36?", guess="many")


def test_a_damaged_predictions_file_is_told(own_folder):
    own_folder.mkdir(exist_ok=True)
    (own_folder / "predictions.json").write_text("{")
    with pytest.raises(CourseError, match="delete it"):
        lessons.predictions()


def test_a_checkpoint_explains_to_a_learner_and_raises_under_test(monkeypatch):
    said = []
    monkeypatch.setattr(lessons, "say", said.append)
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    lessons.check(True, "It holds.", "Because.")
    lessons.check(False, "It holds.", "A slower machine may differ.")
    assert "✓" in said[0] and "✗" in said[1] and "A slower machine may differ." in said[1]
    monkeypatch.setenv("COURSE_STRICT", "1")
    with pytest.raises(AssertionError, match="A slower machine may differ"):
        lessons.check(False, "It holds.", "A slower machine may differ.")


def test_money_is_shown_so_that_no_two_dollar_signs_pair(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    lessons.say("from $1.02 to $2.82, about 5 *dollars*")
    assert "$" not in shown[0].data and shown[0].data.replace(lessons.DOLLAR, "$") == "from $1.02 to $2.82, about 5 *dollars*"


def test_an_adapter_trained_for_a_quarter_of_the_way_stays_out_of_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setenv("COURSE_QUICK", "1")
    assert adapters.folder() == tmp_path / "adapters"
    monkeypatch.setenv("COURSE_QUICK", "0")
    assert adapters.folder().is_relative_to(tmp_path / "cache")
