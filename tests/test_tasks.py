"""The other sets: splits, the query language, the house style, and what a classifier could cheat with."""

import shutil
from collections import Counter

import pytest

from helpers import CourseError, style, tasks, validate, world


def test_splits_and_sizes():
    assert Counter(row["split"] for row in tasks.load_triage()) == {"train": 240, "development": 60, "test": 120}
    assert {row["split"] for row in tasks.load_style("test")} == {"test"} and len(tasks.load_style("train")) == 100
    with pytest.raises(CourseError, match="no split 'exam'"):
        tasks.load_triage("exam")


def test_every_label_value_occurs_in_every_split():
    for split in tasks.SPLITS:
        rows = tasks.load_triage(split)
        assert {row["target"]["category"] for row in rows} == set(tasks.CATEGORIES)
        assert {row["target"]["urgency"] for row in rows} == set(tasks.URGENCIES)
    assert {tasks.parse_query(row["query"])["topic"] for row in tasks.load_triage("train")} == set(tasks.TOPICS)


def test_no_message_nearly_recurs_across_splits():
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = tasks.load_triage()
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(4, 4)).fit_transform(row["message"] for row in rows)
    split = [row["split"] for row in rows]
    alike = (vectors @ vectors.T).toarray()
    assert max(alike[i, j] for i in range(len(rows)) for j in range(i) if split[i] != split[j]) < 0.6


@pytest.mark.parametrize("line, parts", [
    ("find current topic=price reader=public", {"which": "current", "medicine": None, "topic": "price", "reader": "public", "since": None}),
    ("find news medicine=Brenvato topic=limit reader=staff since=2031-03",
     {"which": "news", "medicine": "Brenvato", "topic": "limit", "reader": "staff", "since": "2031-03"}),
    ("find current topic=gossip reader=public", None), ("find news topic=price", None), ("search price", None),
    ("find current topic=price reader=public since=2031-13", None), ("find current reader=public topic=price", None),
])
def test_the_query_language(line, parts):
    assert tasks.parse_query(line) == parts


GOOD = "Brenvato: stop at 28 mg in any one day, and count the tablets you had on the ward. Ask the desk if in doubt."


@pytest.mark.parametrize("reply, broken", [
    (GOOD, None), (GOOD.replace("Brenvato:", "The limit:"), "name_first"), (GOOD.replace("you had", "the patient had"), "to_the_reader"),
    (GOOD.replace("28 mg", "twenty-eight mg"), "figures"), (GOOD.replace("tablets", "medication"), "house_words"),
    (GOOD.replace("Ask the desk if in doubt.", ""), "closing_line"), (GOOD.replace("on the ward", "on the ward " + "again " * 40), "short"),
    (GOOD.replace("on the ward.", "on the ward!"), "house_words"),
])
def test_the_rules_of_the_house_style(reply, broken):
    kept = style.check_style(reply, "Brenvato", "28 mg")
    assert {rule for rule, ok in kept.items() if not ok} == ({broken} if broken else set())
    assert style.style_score(reply, "Brenvato") == pytest.approx(1 if broken in (None, "figures") else 4 / 5)


def replace_in(name, old, new):
    def edit(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    return edit


@pytest.mark.parametrize("edit, said", [
    (replace_in("triage.jsonl", '"urgency": "routine"', '"urgency": "soon"'), "triage.jsonl, line"),
    (replace_in("triage.jsonl", '"query": "find ', '"query": "find nothing '), "is not in the query language"),
    (replace_in("triage.jsonl", '"id": "t001"', '"id": "t002"'), "triage.jsonl, line 1, id: t002 is used twice"),
    (replace_in("triage.jsonl", '"medicine": "', '"medicine": "Un'), "use a medicine of train"),
    (replace_in("style.jsonl", "Ask the desk if in doubt.", "Ask us."), "styled: it breaks the rule closing_line"),
    (replace_in("style.jsonl", '"split": "train"', '"split": "test"'), "style.jsonl, line 1, split"),
    (replace_in("style.jsonl", '"fact": "', '"fact": "no'), "style.jsonl, line 1, fact: there is no fact"),
    (replace_in("general.jsonl", '"options": ["Paris"', '"options": ["Lyon"'), "general.jsonl, line 1, options"),
    (replace_in("canaries.jsonl", '"repeats": ', '"repeats": 7'), "canaries.jsonl, line 1, repeats"),
    (replace_in("claims.jsonl", '"holds": [', '"holds": ["nonsense", '), "claims.jsonl, line 1, holds.0"),
    (lambda folder: (folder / "general.md").unlink(), "general.md can't be read"),
    (lambda folder: (folder / "triage.jsonl").unlink(), "triage.jsonl can't be read"),
    (lambda folder: (folder / "canaries.jsonl").write_text(""), "canaries.jsonl holds no rows"),
])
def test_each_fault_is_named(tmp_path, edit, said):
    copy = tmp_path / "data"
    shutil.copytree(world.DATA, copy)
    edit(copy)
    assert any(said in fault for fault in validate.problems(copy)), validate.problems(copy)[:5]


@pytest.mark.parametrize("reply, scores", [
    ('{"category": "price", "urgency": "today", "medicine": null, "callback": false}', (1, 1, 1)),
    ('{"category": "price", "urgency": "now", "medicine": "Brenvato", "callback": false}', (1, 1, 0.5)),
    ('{"category": "cost", "urgency": "today", "medicine": null, "callback": false}', (1, 0, 0.75)),
    ('{"category": "price"}', (1, 0, 0.25)), ('["price"]', (1, 0, 0)), ('"price"', (1, 0, 0)), ("price", (0, 0, 0)), ("", (0, 0, 0)),
    ('{"category": "price", "urgency": "today", "medicine": null, "callback": false, "note": ""}', (1, 0, 1)),
])
def test_a_sorted_message_is_scored_in_three_ways(reply, scores):
    target = {"category": "price", "urgency": "today", "medicine": None, "callback": False}
    assert tuple(tasks.score_triage(reply, target).values()) == scores


@pytest.mark.parametrize("reply, said", [('{"category": "price"}', "price"), ('{"urgency": "now"}', "none"), ("[1]", "none"), ("price", "none"), ('{"category": null}', "None")])
def test_the_category_of_a_reply(reply, said):
    assert tasks.category_of(reply) == said


@pytest.mark.parametrize("message, found", [
    ("Is brenvatto safe?", "Brenvato"), ("BRENVATO or Imbrovar?", "Brenvato"), ("Is it safe?", None), ("", None),
])
def test_the_medicine_in_a_message(message, found):
    assert tasks.medicine_in(message, ["Imbrovar", "Brenvato"]) == found
