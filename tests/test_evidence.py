"""What has been measured: sources are never mixed, what does not belong is refused with a sentence; and the ledger over it."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from helpers import COURSE, CourseError, claims, doors, evidence, ledger, lessons, results, weights, world

LINE = {"notebook": "01_rag_basics", "experiment": "rag.update", "arm": "new", "group": "all", "metric": "contains", "value": 0.4, "low": 0.3, "high": 0.5,
        "n": 57, "unit": "fraction", "seed": 0, "claims": [], "source": "run", "size": "live", "model": weights.model_name(), "precision": "fp32",
        "data_version": world.data_version()}
NAME = "rag.update new all contains"


def loaded(tmp_path, run=(), reference=()):
    """Evidence of two files with these lines, each a dictionary of what differs from LINE."""
    paths = []
    for source, lines in (("run", run), ("reference", reference)):
        paths.append(tmp_path / f"{source}.jsonl")
        paths[-1].write_text("".join(json.dumps({**LINE, "source": source, **line}) + "\n" for line in lines), encoding="utf-8")
    return evidence.load(*paths)


def test_this_machine_comes_first_and_the_reference_stands_in(tmp_path):
    got = loaded(tmp_path, [{"value": 0.4}], [{"value": 0.35}, {"metric": "stale", "value": 0.1, "low": 0.05, "high": 0.2}])
    assert got.find(NAME)["value"] == 0.4 and got.find(NAME, "reference")["value"] == 0.35
    assert got.find("rag.update new all stale")["source"] == "reference" and got.find("rag.update new all f1") is None
    assert got.refused == ()


def test_seeds_are_joined_from_the_lowest_end_to_the_highest(tmp_path):
    got = loaded(tmp_path, reference=[{"seed": 0}, {"seed": 1, "value": 0.5, "low": 0.45, "high": 0.55}, {"seed": 2, "value": 0.6, "low": 0.2, "high": 0.7}])
    line = got.find(NAME)
    assert (line["value"], line["low"], line["high"], line["seeds"]) == (pytest.approx(0.5), 0.2, 0.7, 3)


def test_a_computed_figure_takes_all_from_one_source(tmp_path):
    stale = {"metric": "stale"}
    got = loaded(tmp_path, [{}], [{"value": 0.35}, stale])
    assert {line["source"] for line in got.together(NAME, "rag.update new all stale").values()} == {"reference"}
    assert loaded(tmp_path, [{}], [stale]).together(NAME, "rag.update new all stale") == {}
    assert [line["source"] for line in loaded(tmp_path, [{}, stale], [{}, stale]).together(NAME, "rag.update new all stale").values()] == ["run", "run"]


def test_a_row_of_the_table_compares_side_by_side(tmp_path):
    other = {"arm": "old"}
    names = [NAME, "rag.update old all contains", "rag.update mixed all contains"]
    assert loaded(tmp_path, [{}], [other]).compared(names) == [None] * 3
    cells = loaded(tmp_path, [{"arm": "mixed"}], [{}, other]).compared(["a.b c d e", "a.b f d e", ""], names)
    assert [line and line["source"] for line in cells] == ["reference", "reference", None]


def test_lines_of_other_data_are_refused(tmp_path):
    got = loaded(tmp_path, [{"data_version": "0" * 12}, {"metric": "stale"}], [{"data_version": "1" * 12}])
    assert got.find(NAME) is None and got.find("rag.update new all stale") and len(got.refused) == 2
    assert f"data other than today's (000000000000, not {world.data_version()}; this run): 1." in got.refused[0]


def test_lines_of_another_model_are_refused_on_this_machine_only(tmp_path):
    got = loaded(tmp_path, [{"model": "another"}], [{"model": "another"}])
    assert got.find(NAME)["source"] == "reference" and len(got.refused) == 1 and "a model other than today's (another" in got.refused[0]


def test_missing_empty_damaged_and_odd_files(tmp_path):
    nothing = evidence.load(tmp_path / "none.jsonl", tmp_path / "none.jsonl")
    assert nothing.find(NAME) is None and nothing.refused == () and nothing.records("run") == []
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(LINE) + "\n{half", encoding="utf-8")
    got = evidence.load(path, tmp_path / "none.jsonl")
    assert got.find(NAME) is None and "bad.jsonl, line 2 is not a result" in got.refused[0]
    got = loaded(tmp_path, [{"value": "much"}, {"metric": "stale"}])
    assert got.find(NAME) is None and got.find("rag.update new all stale") and "no number (this run): 1" in got.refused[0]


def test_what_lesson_4_computed_is_no_evidence_for_it(tmp_path):
    assert loaded(tmp_path, [{"notebook": "04_decision_factors", "experiment": "decide.cost"}]).records("run") == []
    assert loaded(tmp_path, [{"notebook": "changing_requirements", "experiment": "decide.requirements"}]).records("run")


@pytest.mark.parametrize("line, said", [
    ({}, "40% (30% to 50%)"), ({"unit": "difference", "value": -0.2, "low": -0.3, "high": -0.1}, "-20 points (-30 to -10)"),
    ({"unit": "s", "value": 61.46, "low": None, "high": None}, "61.5 s"), ({"unit": "ms", "value": 440.4, "low": 430, "high": 460}, "440 ms (430 to 460)"),
    ({"unit": "ratio", "value": 0.716, "low": 0.69, "high": 0.73}, "0.72 (0.69 to 0.73)"), ({"unit": "USD", "value": 1.2345, "low": 1, "high": 2}, "$1.23 ($1 to $2)"),
    ({"metric": "explained", "value": 1.0}, "100% by definition"), ({"unit": "count", "value": 603.1, "low": None, "high": None}, "603"),
])
def test_a_figure_as_text(line, said):
    assert evidence.figure({**LINE, **line}) == said
    assert evidence.linked({**LINE, **line}) == f"{said} [this run](01_rag_basics.ipynb)"


def test_a_link_only_where_there_is_a_page():
    assert evidence.figure(None) == evidence.linked(None) == "not measured"
    assert evidence.page("labs/updating_weights") == evidence.page("updating_weights") == "labs/updating_weights.ipynb" and evidence.page("gone") is None
    assert evidence.linked({**LINE, "notebook": "gone"}) == "40% (30% to 50%) (this run)"


# The ledger.

def record(name, value, low, high, n=100, seed=0):
    experiment, arm, group, metric = name.split(" ")
    return {**LINE, "experiment": experiment, "arm": arm, "group": group, "metric": metric, "value": value, "low": low, "high": high, "n": n, "seed": seed}


R9 = claims.load_claims()["R9"]
FACTS, EXAMPLES = (ledger.split(test)[0] for test in R9.with_condition)


def test_what_an_undecided_claim_would_take():
    clear = record(EXAMPLES, 0.5, 0.4, 0.6)
    near = [record(FACTS, 0.08, 0.03, 0.13), clear]
    assert claims.verdict(R9, near) == "inconclusive" and ledger.split(ledger.deciding(R9, near))[0] == FACTS
    assert "8% is too near to 10% for n = 100: about 625 if it stays there" in ledger.what_it_takes(R9, near)  # 100 · (0.05 / 0.02)²
    assert "no number of facts" in ledger.what_it_takes(R9, [record(FACTS, 0.1, 0.05, 0.15), clear])
    assert "more seeds" in ledger.what_it_takes(R9, [record(FACTS, 0.05, 0.01, 0.09), record(FACTS, 0.2, 0.15, 0.25, seed=1), clear])
    assert ledger.what_it_takes(R9, [record(FACTS, 0.05, 0.01, 0.09), clear]) == ""
    assert ledger.what_it_takes(R9, [clear]) == "" and ledger.missing(R9, [clear]) == [FACTS] and ledger.deciding(R9, [clear]) is None


def test_prices_and_rules_that_do_not_fit_are_told_apart():
    k3 = claims.load_claims()["K3"]
    first, million = (ledger.split(test)[0] for test in k3.holds)
    assert "prices decide" in ledger.what_it_takes(k3, [record(first, 1.1, 0.8, 1.5), record(million, 0.5, 0.4, 0.6)])
    u7 = claims.load_claims()["U7"]  # above zero and below 0.1: neither case of its rule
    assert "no case of the rule" in ledger.what_it_takes(u7, [record(ledger.split(u7.holds[0])[0], 0.05, 0.02, 0.08)])


def test_verdicts_use_computed_figures_of_one_source_only(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "REFERENCE", tmp_path / "reference.jsonl")
    own = {**LINE, "notebook": "04_decision_factors", "experiment": "decide.cost", "unit": "ratio"}
    old = {**own, "source": "reference", "value": 9, "arm": "a"}, {**own, "source": "reference", "value": 9, "arm": "b"}, {**own, "unit": "verdict", "arm": "R1"}
    results.REFERENCE.write_text("".join(json.dumps({**line, "source": "reference"}) + "\n" for line in old))
    made = [("reference", {**own, "arm": "a", "value": 1}), ("run", {**own, "arm": "b", "value": 2}), ("counted", {**own, "arm": "c", "value": 3}),
            ("mixed", {**own, "arm": "d", "value": 4})]
    got = ledger.gather(evidence.Evidence({"run": {}, "reference": {}}), made)
    assert {line["arm"]: line["value"] for line in got["run"]} == {"b": 2, "c": 3}
    assert {line["arm"]: line["value"] for line in got["reference"]} == {"a": 1, "b": 9, "c": 3}


def test_the_ledger_has_a_row_for_every_claim():
    rows = ledger.entries({"run": [], "reference": results.lines("reference")})
    assert [row[0].split(" ")[0] for row in rows] == list(claims.load_claims()) and all(len(row) == 6 for row in rows)
    assert {row[2] for row in rows} == {"not measured"}


def test_a_rule_changed_later_carries_its_date():
    """The rules of the first day are known by their hash: whoever changes one must date it, and the ledger then says so."""
    known = json.loads((Path(__file__).parent / "rules.json").read_text())
    for i, claim in claims.load_claims().items():
        text = json.dumps([claim.holds, claim.with_condition, claim.contradicted, claim.condition], ensure_ascii=False)
        same = hashlib.sha256(text.encode()).hexdigest()[:8] == known[i]
        assert same != ledger.changed(claim), f"{i}: its rule is {'as at first, but dated anew' if same else 'another one: date it'}"


def test_stored_verdicts_are_those_of_the_stored_records():
    """The verdicts in the reference run's ledger, against a second reading of the rules, written here without helpers.claims.verdict."""
    stored = [line for line in results.lines("reference") if line["experiment"] == "decide.ledger" and line["seed"] == 0]
    if not stored:
        pytest.skip("the reference run has no ledger yet")
    figures = {}
    for line in results.lines("reference"):
        if line["unit"] != "verdict":
            ends = (line["low"], line["high"]) if line["low"] is not None else (line["value"], line["value"])
            figures.setdefault(ledger.name_of(line), []).append(ends)

    def true(tests):
        return bool(tests) and all((low > float(number) if sign == ">" else high < float(number)) for *name, sign, number in map(str.split, tests)
                                   for low, high in figures[" ".join(name)])

    for line in stored:
        claim = claims.load_claims()[line["arm"]]
        if not all(ledger.split(test)[0] in figures for test in claim.tests):
            word = "not measured"
        else:
            cases = (("contradicted", claim.contradicted), ("holds", claim.holds), ("holds with a condition", claim.with_condition))
            word = next((word for word, tests in cases if true(tests)), "inconclusive")
        assert line["value"] == word, line["arm"]


def test_a_verdict_is_recorded_as_its_word(tmp_path, monkeypatch):
    import jsonschema

    from helpers import COURSE

    monkeypatch.setenv("COURSE_RESULTS", str(tmp_path / "results.jsonl"))
    results.set_notebook("04_decision_factors")
    line = results.record_verdict("R1", "holds with a condition")
    schema = json.loads((COURSE / "data" / "schemas" / "result.schema.json").read_text())
    jsonschema.validate(line, schema)
    assert (line["arm"], line["value"], line["low"], line["high"]) == ("R1", "holds with a condition", None, None) and results.lines() == [line]
    for broken in ({**line, "value": "maybe"}, {**line, "value": 0.5}, {**line, "unit": "count"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)
    with pytest.raises(CourseError, match="verdict of R1 is 'maybe'"):
        results.record_verdict("R1", "maybe")
    results.set_notebook(None)


PAGES, RECORDS = doors.notebooks(COURSE), results.lines("reference")
LATE = ("phrasings_and_reversal",)  # executed before its claim had a record, and not since


def printed(path):
    """What the stored outputs of a page say, as Markdown."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(out["data"]["text/markdown"]) for cell in cells for out in cell.get("outputs", ()) if "text/markdown" in out.get("data", ()))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_verdicts_that_a_page_shows_are_those_of_the_stored_records(path):
    book = claims.load_claims()
    for claim, shown in re.findall(r"(?m)^\| ([A-Z]\d+) · [^|]+\| ([^|]+) \|", printed(path)):
        verdict = claims.verdict(book[claim], RECORDS)
        assert re.match(rf"\W*{verdict}(?! with)", shown) or (path.stem in LATE and shown == "not measured"), f"{path.stem} shows {claim} as {shown!r}, now {verdict}: execute the page again (course.py run {path.stem} --save)"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_quotes_of_the_reference_run_is_still_there(path):
    joined = map(evidence.joined, evidence.load().by_source["reference"].values())
    kept = {lessons.span(line) for line in joined if line["notebook"] == path.stem and line["low"] is not None}
    quoted = set(re.findall(r"The reference run, at full size, has (.+?): trust", printed(path)))
    assert quoted <= kept, f"{path.stem} quotes {quoted - kept}: execute the page again (course.py run {path.stem} --save)"
