"""The two tables of lesson 4: the usual one, and the ledger.

For each claim the ledger has the figure that decided it, what an undecided one would take, and whether its rule is still the first one.
"""

import math

from helpers import claims, evidence, quantities, results, stats, world

TABLE = {  # the usual table: row, what is measured, the usual words → names of figures, the best comparison first
    ("updates", "a change is in after", "easy, hard, easy"): [
        ["tune.update reindex all seconds", "tune.update retrain all seconds", "hybrid.update after all seconds"]],
    ("updates", "changed facts then right", "easy, hard, easy"): [
        ["tune.update reindex all new_answer", "tune.update retrain all new_answer", "hybrid.update after changed_unseen contains"]],
    ("latency", "a reply of eight tokens", "higher, low, higher"): [
        [f"hybrid.latency {arm} all ms_p50" for arm in quantities.ARMS.values()],
        ["tune.latency retrieved all ms_p50", "tune.latency tuned all ms_p50", "hybrid.latency desk_retrieved all ms_p50"]],
    ("customisation", "rules of style kept", "limited, deep, deep"): [
        [f"hybrid.style {arm} all style" for arm in ("few_shot_styled", "desk", "desk_retrieved")],
        ["tune.style few_shot_retrieved all style", "tune.style tuned all style", "hybrid.style desk_retrieved all style"]],
}
COLUMNS = ["claim", "verdict (reference)", "this machine", "deciding figure", "where", "limit"]  # of entries
FIRST = "2026-11-23"  # the day all rules were written; a later one replaces a rule that readers may have seen


def gather(measured, made):
    """Source → all records that verdicts of it may use: what was measured, and what lesson 4 computed from figures of that source alone.

    measured: an evidence.Evidence. made: (basis, line) pairs, the basis "run", "reference", "counted" (from the data: good for both) or "mixed"
    (for none). Where lesson 4 did not compute a figure from the reference run's this time, its line in the reference records counts.
    """
    own = {source: [line for basis, line in made if basis in (source, "counted")] for source in ("run", "reference")}
    fresh = {name_of(line) for line in own["reference"]}
    stored = [line for line in results.lines("reference") if line["notebook"] == evidence.OWN and line["unit"] != "verdict"
              and line["data_version"] == world.data_version() and name_of(line) not in fresh]
    return {"run": measured.records("run") + own["run"], "reference": measured.records("reference") + stored + own["reference"]}


def name_of(line):
    """A line's figure as the rules name it."""
    return " ".join(line[part] for part in ("experiment", "arm", "group", "metric"))


def entries(gathered):
    """A row of Markdown per claim: claim, verdict by the reference run, by this machine alone, deciding figure with its number of seeds, where, limit.

    gathered: see gather.
    """
    rows = []
    for i, claim in claims.load_claims().items():
        word, test = claims.verdict(claim, gathered["reference"]), deciding(claim, gathered["reference"])
        line = test and evidence.joined([r for r in gathered["reference"] if name_of(r) == split(test)[0]])
        said = f"**{word}**" + (f": {claim.condition}" if word == "holds with a condition" else "") + (f" (rule changed on {claim.dated})" if changed(claim) else "")
        where = evidence.page(claim.notebook)
        rows.append((f"{i} · {claim.claim}", said, claims.verdict(claim, gathered["run"]), f"{claims.in_words(test)}: {evidence.figure(line)}; seeds: {line['seeds']}" if test else "–",
                     f"[{claim.notebook}]({where})" if where else claim.notebook, claim.limit))
    return rows


def gap(first, second):
    """The difference of two lines of different questions, first − second, with the widest interval that theirs allow (a stats.Estimate)."""
    return stats.Estimate(first["value"] - second["value"], first["low"] - second["high"], first["high"] - second["low"], min(first["n"], second["n"]))


def split(test):
    """A test as (figure, sign, number): "rag.weights retrieved all changed", ">", 0.0."""
    *name, sign, number = test.split(" ")
    return " ".join(name), sign, float(number)


def deciding(claim, records):
    """The test that a verdict rests on, to show its figure: of the list of tests that came out true the first, of an undecided claim the
    first that did not. None where one was not measured."""
    word = claims.verdict(claim, records)
    if word == "not measured":
        return None
    lists = {"holds": claim.holds, "holds with a condition": claim.with_condition, "contradicted": claim.contradicted}
    return lists[word][0] if word in lists else next(test for test in claim.holds if claims.check(test, records) != "true")


def changed(claim):
    """Whether a claim's rule is no longer that of the first day."""
    return claim.dated != FIRST


def missing(claim, records):
    """The figures of a claim's rule that were not measured."""
    return list(dict.fromkeys(split(test)[0] for test in claim.tests if claims.check(test, records) is None))


def what_it_takes(claim, records):
    """For an inconclusive claim, a sentence: how many facts (or what else) would decide it. Empty for the others.

    An interval narrows with the root of the number of facts, so that n · (half its width / distance to the rule's number)² would just clear it,
    if the figure stayed where it is.
    """
    if claims.verdict(claim, records) != "inconclusive":
        return ""
    open_ones = [test for test in claim.tests if claims.check(test, records) == "undecided"]
    if not open_ones:
        return "Every test is clear, and no case of the rule fits them: more data would not help, the claim mixes things that come apart."
    return " ".join(dict.fromkeys(_takes(test, records) for test in open_ones))


def _takes(test, records):
    name, _, number = split(test)
    some = [r for r in records if name_of(r) == name]
    said = lambda value: evidence.figure({**some[0], "value": value, "low": None})
    if name.startswith("decide.cost"):
        return f"`{name}`: prices decide, since {number:g} lies inside the range over half and twice each price. Put your own prices."
    if any(r["low"] is None for r in some):
        return f"`{name}`: single runs on both sides of {number:g}: more runs."
    if all(not r["low"] <= number <= r["high"] for r in some):
        return f"`{name}`: its seeds fall on different sides of {said(number)}: more seeds."
    worst = max(some, key=lambda r: _facts(r, number))
    facts = _facts(worst, number)
    if facts > 100 * worst["n"]:
        return f"`{name}`: {said(worst['value'])} lies on the line of {said(number)} itself: no number of facts would soon tell."
    return f"`{name}`: {said(worst['value'])} is too near to {said(number)} for n = {worst['n']}: about {facts:,.0f} if it stays there."


def _facts(line, number):
    half, distance = (line["high"] - line["low"]) / 2, abs(line["value"] - number)
    return math.ceil(line["n"] * (half / distance) ** 2) if distance else math.inf
