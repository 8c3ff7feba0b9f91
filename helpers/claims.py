"""What people claim about the choice, and the rules, fixed in advance, that turn measured figures into verdicts."""

import functools
import json
import operator
import re
from dataclasses import dataclass

from helpers import COURSE, CourseError, plots
from helpers.world import read_text

VERDICTS = ("holds", "holds with a condition", "contradicted", "inconclusive", "not measured")
COMPARE = {">": (operator.gt, "above"), "<": (operator.lt, "below")}
BETWEEN = {"_over_": "minus", "_versus_": "minus", "_per_": "divided by"}  # what stands between two arms → in words
MEASURES = {"contains": "share right"}  # metric → in words, where its name would not do
TEST = re.compile(r"([a-z]+\.[a-z_]+) ([A-Za-z0-9_]+) ([a-z0-9_]+) ([a-z0-9_@]+) ([<>]) (-?\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Claim:
    """One claim with its rule. `holds`, `with_condition` and `contradicted` are lists of tests, all of which must come out true.

    A test reads "experiment arm group metric > number". The arm a_over_b is the paired difference a − b, a_versus_b the difference of two
    groups of different items, a_per_b the ratio a / b. `pilot`: figures of a smaller pilot were known when the rule was written.
    `by_construction`: what cannot come out otherwise, and why. `smallest_effect` is the mean difference from zero that `planned_n` facts (or
    runs) with this `spread` would show four times out of five, in `unit`; None for costs and durations, which are not sampled.
    """

    id: str
    claim: str
    notebook: str
    dated: str
    pilot: bool
    holds: tuple
    condition: str | None
    with_condition: tuple
    contradicted: tuple
    by_construction: str | None
    planned_n: int | None
    spread: float | None
    smallest_effect: float | None
    unit: str
    limit: str

    @property
    def tests(self):
        """Every test the rule names, each once."""
        return tuple(dict.fromkeys((*self.holds, *self.with_condition, *self.contradicted)))


@functools.cache
def load_claims(path=COURSE / "data" / "claims.jsonl"):
    """Claim id → Claim, in file order. Raises CourseError naming the line that is not a claim."""
    claims = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            row = json.loads(line)
            row.update({name: tuple(row[name]) for name in ("holds", "with_condition", "contradicted")})
            claim = Claim(**row)
        except (ValueError, TypeError, KeyError) as problem:
            raise CourseError(f"claims.jsonl, line {number}: not a claim ({problem}): restore it with `git checkout data`.") from problem
        for test in claim.tests:
            if not TEST.fullmatch(test):
                raise CourseError(f"claims.jsonl, line {number}: {test!r} is no test: write experiment, arm, group, metric, > or <, number.")
        claims[claim.id] = claim
    return claims


def verdict(claim, records):
    """One of VERDICTS for a claim, computed from records (dictionaries as results.jsonl has them; all seeds of one source).

    "not measured" where a figure is missing that any of the rule's tests needs. The tests of `contradicted` are looked at first, then
    `holds`, then `with_condition`; "inconclusive" where none of the three lists is true throughout.
    """
    outcomes = {test: check(test, records) for test in claim.tests}
    if any(outcome is None for outcome in outcomes.values()):
        return "not measured"
    true = lambda tests: bool(tests) and all(outcomes[test] == "true" for test in tests)
    for tests, word in ((claim.contradicted, "contradicted"), (claim.holds, "holds"), (claim.with_condition, "holds with a condition")):
        if true(tests):
            return word
    return "inconclusive"


def check(test, records):
    """"true", "false" or "undecided", or None where nothing was measured.

    "true" only if the whole 95% interval of every seed lies on the named side of the number, "false" only if it lies on the other side in
    every seed. A figure without an interval, such as one duration, counts as its value.
    """
    *key, sign, number = TEST.fullmatch(test).groups()
    found = [r for r in records if [r["experiment"], r["arm"], r["group"], r["metric"]] == key]
    if not found:
        return None
    compare, _ = COMPARE[sign]
    ends = [[r["value"] if r[end] is None else r[end] for end in ("low", "high")] for r in found]
    sides = [{compare(end, float(number)) for end in both} for both in ends]
    return "true" if all(side == {True} for side in sides) else "false" if all(side == {False} for side in sides) else "undecided"


def in_words(test):
    """A test as a sentence part: "share right of few-shot + retrieved minus random passages in rag.answers (all) is above 0"."""
    experiment, arm, group, metric, sign, number = TEST.fullmatch(test).groups()
    arms = " ".join(BETWEEN.get(part) or plots.name(part) for part in re.split(f"({'|'.join(BETWEEN)})", arm))
    return f"{MEASURES.get(metric, metric)} of {arms} in {experiment} ({group}) is {COMPARE[sign][1]} {number}"


def rule_in_words(claim):
    """The rule of a claim as sentences."""
    both = lambda tests: " and ".join(in_words(test) for test in tests)
    parts = [f"Contradicted if {both(claim.contradicted)}.", f"Holds if {both(claim.holds)}."]
    if claim.with_condition:
        parts.append(f"Holds with a condition ({claim.condition}) if {both(claim.with_condition)}.")
    return " ".join(parts + ["Otherwise inconclusive."])
