"""The advisor on the ten uses, on extremes, on contradictions, and for sense over a grid of situations."""

import dataclasses
import itertools

import pytest

from helpers import CourseError, advisor, evidence
from helpers.advisor import READING, RECITING, STYLE, TASK, Situation, recommend


def measured(**figures):
    """Invented evidence: each named difference is clearly above zero, unless figures give it (low, high) or None for "not measured"."""
    given = {STYLE: (0.2, 0.3), TASK: (0.3, 0.4), READING: (0.2, 0.4), RECITING: (-0.4, -0.2)}
    given |= {{"style": STYLE, "task": TASK, "reading": READING, "reciting": RECITING}[name]: ends for name, ends in figures.items()}
    lines = {name: [{"notebook": "03_hybrid", "source": "reference", "metric": name.split(" ")[-1], "unit": "difference", "value": sum(ends) / 2,
                     "low": ends[0], "high": ends[1], "n": 50}]
             for name, ends in given.items() if ends}
    return evidence.Evidence({"run": {}, "reference": lines})


ALL = measured()
NOTHING = evidence.Evidence({"run": {}, "reference": {}})
CLOSED = {"new_subjects": False, "updates_per_month": 0, "examples": 6600}
USES = {  # use → situation, and what the claims U1 to U10 and H3 expect
    "customer support": (Situation(facts=True), "rag"),
    "questions about documents": (Situation(facts=True, updates_per_month=0.5), "rag"),
    "news": (Situation(facts=True, updates_per_month=30), "rag"),
    "compliance": (Situation(facts=True, citations=True), "rag"),
    "fast-changing facts": (Situation(facts=True, updates_per_month=300), "rag"),
    "specialised domain": (Situation(skill=True, examples=500), "finetune"),
    "house style": (Situation(manner=True, examples=100), "finetune"),
    "quick answers": (Situation(facts=True, quick=True, **CLOSED), "finetune"),
    "structured output": (Situation(skill=True, examples=240), "finetune"),
    "narrow task": (Situation(skill=True, examples=480), "finetune"),
    "medical assistant": (Situation(facts=True, manner=True, citations=True, demanding=True, updates_per_month=4, examples=500), "hybrid"),
}


@pytest.mark.parametrize("situation, expected", USES.values(), ids=USES)
def test_the_uses_that_people_name(situation, expected):
    advice = recommend(situation, ALL)
    assert advice.approach == expected
    assert advice.reasons and advice.check_first and "What would change it" in advice.text
    assert advisor.NAMES[expected][1:] in advice.text


def test_reasons_name_their_figure_and_where_it_comes_from():
    advice = recommend(Situation(manner=True, examples=100), ALL)
    assert any("+25 points (+20 to +30) [reference](03_hybrid.ipynb)" in reason for reason in advice.reasons)
    assert any("not measured" in check for check in advice.check_first)


def test_a_gain_that_was_not_shown_is_no_reason():
    style = Situation(manner=True, examples=100)
    for ends in ((-0.1, 0.1), (-0.3, -0.1), None):
        assert recommend(style, measured(style=ends)).approach == "prompt"
    reader = Situation(facts=True, demanding=True, examples=800)
    assert [recommend(reader, measured(reading=ends)).approach for ends in ((0.1, 0.2), (-0.1, 0.2), None)] == ["hybrid", "rag", "rag"]
    known = Situation(facts=True, **CLOSED)
    assert [recommend(known, measured(reciting=ends)).approach for ends in ((0.1, 0.2), (-0.1, 0.2), None)] == ["finetune", "rag", "rag"]


def test_extremes():
    everything = Situation(facts=True, manner=True, skill=True, citations=True, erasable=True, quick=True, demanding=True, updates_per_month=10**6,
                           questions_per_day=10**9, examples=10**6)
    assert recommend(everything, ALL).approach == "hybrid"
    assert recommend(Situation(skill=True, updates_per_month=0, questions_per_day=0), ALL).approach == "prompt"
    for use, (situation, _) in USES.items():
        advice = recommend(situation, NOTHING)
        assert advice.approach in advisor.NAMES and "not measured" in advice.text, use


def test_money_counts_where_few_questions_meet_many_updates():
    known = Situation(facts=True, quick=True, **{**CLOSED, "updates_per_month": 0.9})
    assert recommend(known, ALL, break_even=35).approach == "finetune"
    assert recommend(dataclasses.replace(known, questions_per_day=10), ALL, break_even=35).approach == "rag"
    assert recommend(known, ALL, break_even=0).approach == "rag", "nothing is saved, so no update is paid for"
    assert recommend(dataclasses.replace(known, updates_per_month=0), ALL, break_even=0).approach == "finetune"


BOOLEANS = ("facts", "manner", "skill", "new_subjects", "citations", "erasable", "quick", "demanding")
LOOKS_UP = {"prompt": False, "rag": True, "finetune": False, "hybrid": True}
TRAINS = {"prompt": False, "rag": False, "finetune": True, "hybrid": True}


def decided(situation, known, break_even=35):
    try:
        return advisor._decide(situation, known, break_even)[0]
    except CourseError:
        return None


def grid():
    for answers in itertools.product((False, True), repeat=len(BOOLEANS)):
        for examples, questions, offline in itertools.product((0, 100, 6600), (10, 1000), (False, True)):
            yield Situation(**dict(zip(BOOLEANS, answers)), examples=examples, questions_per_day=questions, offline=offline)


@pytest.mark.parametrize("known", [ALL, NOTHING, measured(reciting=(0.1, 0.2)), measured(style=None, reading=None)])
def test_more_updates_never_move_the_answer_towards_fine_tuning(known):
    for situation in grid():
        steps = [decided(dataclasses.replace(situation, updates_per_month=often), known) for often in (0, 0.2, 1, 1.5, 10, 1000)]
        contradicts = [step is None for step in steps]
        assert contradicts == sorted(contradicts), situation  # once too often for an offline model, always
        steps = [step for step in steps if step]
        assert [LOOKS_UP[step] for step in steps] == sorted(LOOKS_UP[step] for step in steps), situation
        assert [TRAINS[step] for step in steps] == sorted((TRAINS[step] for step in steps), reverse=True), situation


@pytest.mark.parametrize("known", [ALL, NOTHING, measured(reciting=(0.1, 0.2)), measured(style=None, reading=None)])
def test_citations_erasure_and_new_subjects_never_move_it_away_from_retrieval(known):
    for situation, field in itertools.product(grid(), ("citations", "erasable", "new_subjects")):
        without, having = (decided(dataclasses.replace(situation, **{field: value}), known) for value in (False, True))
        if without and having:
            assert LOOKS_UP[having] >= LOOKS_UP[without], (situation, field)
        assert having is None or field != "citations" or LOOKS_UP[having], situation
        assert without is not None or having is None, (situation, field)


def test_more_examples_never_take_training_away_where_nothing_is_looked_up():
    for situation in grid():
        if not situation.facts and not situation.citations:
            steps = [decided(dataclasses.replace(situation, examples=n), ALL) for n in (0, 25, 100, 500, 800, 10**5)]
            assert steps == sorted(steps, key=lambda step: TRAINS.get(step, False)), situation


def test_what_would_change_it_does():
    """Each change that is named, made, gives the answer that is named; a change that is not named gives the same."""
    for situation, _ in USES.values():
        advice = recommend(situation, ALL)
        for answers, said in advisor._changes(situation):
            other = decided(dataclasses.replace(situation, **answers), ALL, None)
            named = [line for line in advice.would_change if line.startswith(f"if {said}: then")]
            assert named == ([f"if {said}: then {advisor.NAMES[other]}"] if other and other != advice.approach else [])


@pytest.mark.parametrize("more, other", [
    ({"citations": True}, "must show its source"), ({"facts": True, "erasable": True, **CLOSED}, "must be deletable"),
    ({"facts": True, "examples": 6600}, "no training row names"), ({"facts": True, **{**CLOSED, "updates_per_month": 4}}, "4 updates a month"),
    ({"facts": True, **{**CLOSED, "examples": 20}}, "20 training rows"),
])
def test_both_answers_of_a_contradiction_are_named(more, other):
    with pytest.raises(CourseError, match=f"contradict each other: «no outside system may be needed.*» and «.*{other}.*Give up one"):
        recommend(Situation(**{"skill": True, "offline": True, **more}), ALL)


@pytest.mark.parametrize("field", ["updates_per_month", "questions_per_day", "examples"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_numbers_of_no_sense_are_told(field, value):
    with pytest.raises(CourseError, match=f"{field} is .*zero or more"):
        recommend(Situation(facts=True, **{field: value}), ALL)


def test_nothing_asked_for_is_told():
    with pytest.raises(CourseError, match="Nothing is asked for"):
        recommend(Situation(), ALL)


def test_every_rule_reads_figures_that_the_course_records():
    """A misspelt figure would be "not measured" for ever: each is in the reference records, or one that lesson 3 and its labs name."""
    known = evidence.load().by_source["reference"]
    for rule in (*advisor.LOOK_UP, *advisor.TRAIN, *advisor.NEITHER, *advisor.CHECKS):
        assert rule.figure in known or rule.figure.startswith("hybrid."), rule.figure
