"""The rules that turn figures into verdicts: complete, dated, consistent, and right on invented records for every branch."""

import datetime
import itertools
import re

import pytest

from helpers import CourseError, claims, stats, world

EXPECTED = (
    ["D1", "D2"] + [f"R{n}" for n in range(1, 10)] + [f"F{n}" for n in range(1, 12)] + [f"U{n}" for n in range(1, 11)]
    + ["H1", "H2", "H3", "K1", "K2", "K3", "K4", "T1", "T2", "T3", "T4", "T5", "G1", "G2", "G3", "S1"]
)
ALL = claims.load_claims()


def line(test, low, high, seed=0):
    experiment, arm, group, metric, *_ = claims.TEST.fullmatch(test).groups()
    return {"experiment": experiment, "arm": arm, "group": group, "metric": metric, "value": (low + high) / 2, "low": low, "high": high, "seed": seed}


def side(test, outcome):
    """A record that makes a test come out true, false or undecided."""
    *_, sign, number = claims.TEST.fullmatch(test).groups()
    number, step = float(number), 0.01
    above = (number + step, number + 2 * step)
    below = (number - 2 * step, number - step)
    low, high = (number - step, number + step) if outcome == "undecided" else above if (outcome == "true") == (sign == ">") else below
    return line(test, low, high)


def records(outcomes):
    """One record per figure that satisfies all outcomes (test → wanted); None where two tests of one figure contradict each other."""
    figures = {}
    for test, wanted in outcomes.items():
        *key, sign, number = claims.TEST.fullmatch(test).groups()
        low, high = figures.get(tuple(key), (-1e9, 1e9))
        inside = (float(number), high) if (wanted == "true") == (sign == ">") else (low, float(number))
        figures[tuple(key)] = (max(low, inside[0]), min(high, inside[1]))
    if any(low >= high for low, high in figures.values()):
        return None
    out = []
    for (experiment, arm, group, metric), (low, high) in figures.items():
        low, high = max(low, high - 1), min(high, low + 1)
        third = (high - low) / 3
        out.append({"experiment": experiment, "arm": arm, "group": group, "metric": metric, "value": low + 1.5 * third,
                    "low": low + third, "high": high - third, "seed": 0})
    return out


def test_every_claim_is_there_once_and_dated():
    assert list(ALL) == EXPECTED
    assert all(datetime.date.fromisoformat(claim.dated) <= datetime.date.today() for claim in ALL.values())


@pytest.mark.parametrize("claim", ALL.values(), ids=ALL)
def test_a_rule_reaches_each_of_its_verdicts(claim):
    wanted = [("holds", claim.holds), ("contradicted", claim.contradicted)]
    if claim.with_condition:
        wanted.append(("holds with a condition", claim.with_condition))
    for word, tests in wanted:
        others = [test for test in claim.tests if test not in tests]
        reached = set()
        for pattern in itertools.product(("false", "true"), repeat=len(others)):
            found = records({**dict.fromkeys(tests, "true"), **dict(zip(others, pattern))})
            if found is not None:
                reached.add(claims.verdict(claim, found))
        assert word in reached, f"{claim.id} can never come out as {word}"
    undecided = {(r["experiment"], r["arm"], r["group"], r["metric"]): {**r, "low": -1e9, "high": 1e9} for r in (side(t, "undecided") for t in claim.tests)}
    assert claims.verdict(claim, list(undecided.values())) == "inconclusive"
    assert claims.verdict(claim, list(undecided.values())[1:]) == "not measured"


@pytest.mark.parametrize("claim", ALL.values(), ids=ALL)
def test_holding_and_contradiction_exclude_each_other(claim):
    assert records(dict.fromkeys((*claim.holds, *claim.contradicted), "true")) is None
    if claim.with_condition:
        assert records(dict.fromkeys((*claim.with_condition, *claim.contradicted), "true")) is None
    assert bool(claim.condition) == bool(claim.with_condition)


@pytest.mark.parametrize("claim", ALL.values(), ids=ALL)
def test_what_could_be_seen_is_computed_not_typed(claim):
    if claim.planned_n is None:
        assert claim.spread is None and claim.smallest_effect is None and claim.unit in ("ratio", "s")
    else:
        assert claim.smallest_effect == pytest.approx(stats.smallest_effect(claim.planned_n, claim.spread), abs=0.001)


def test_a_test_needs_every_seed_and_the_whole_interval():
    test = "rag.answers retrieved_over_base all contains > 0"
    assert claims.check(test, [line(test, 0.1, 0.3)]) == "true"
    assert claims.check(test, [line(test, -0.3, -0.1)]) == "false"
    assert claims.check(test, [line(test, -0.1, 0.3)]) == "undecided"
    assert claims.check(test, [line(test, 0.1, 0.3, 0), line(test, -0.1, 0.3, 1)]) == "undecided"
    assert claims.check(test, [line(test, 0.1, 0.3, 0), line(test, -0.3, -0.1, 1)]) == "undecided"
    assert claims.check(test, []) is None
    assert claims.check(test, [{**line(test, 0.1, 0.3), "low": None, "high": None}]) == "true"
    assert claims.check(test, [line(test.replace("base", "few_shot"), 0.1, 0.3)]) is None


def test_a_rule_reads_as_sentences():
    said = claims.rule_in_words(ALL["R5"])
    assert "Holds if share right of retrieved passages minus base (no passages) in rag.answers (all) is above 0" in said and said.endswith("Otherwise inconclusive.")
    assert all(re.search(r"[.] Holds if", claims.rule_in_words(claim)) for claim in ALL.values())


@pytest.mark.parametrize("text, said", [("{", "line 1: not a claim"), ('{"id": "R1"}', "line 1: not a claim")])
def test_a_broken_line_is_named(tmp_path, text, said):
    path = tmp_path / "claims.jsonl"
    path.write_text(text)
    with pytest.raises(CourseError, match=said):
        claims.load_claims(path)


def test_a_broken_test_is_named(tmp_path):
    path = tmp_path / "claims.jsonl"
    path.write_text((world.DATA / "claims.jsonl").read_text().replace("contains > 0", "contains => 0", 1))
    with pytest.raises(CourseError, match="is no test"):
        claims.load_claims(path)
