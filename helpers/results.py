"""Every measurement goes through here: one line of results.jsonl each, read back as a table."""

import functools
import json
import math
import os
from pathlib import Path

from helpers import COURSE, CourseError

KEY = ("experiment", "arm", "group", "metric", "seed", "source")
UNITS = ("fraction", "difference", "ratio", "s", "ms", "GB", "MB", "USD", "bits", "count", "per_s")
COLUMNS = ["notebook", "experiment", "arm", "group", "metric", "value", "low", "high", "n", "unit", "seed", "claims",
           "source", "size", "model", "precision", "data_version"]
REFERENCE = COURSE / "data" / "reference" / "results.jsonl"
_notebook = None


def data_folder():
    """The learner's own folder for results and predictions: $COURSE_DATA, else the user's data folder. Made if missing."""
    if os.environ.get("COURSE_DATA"):
        folder = Path(os.environ["COURSE_DATA"]).expanduser()
    else:
        import platformdirs

        folder = Path(platformdirs.user_data_dir("rag-or-fine-tuning"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise CourseError(f"Your results can't be kept in {folder} ({problem.strerror}): set COURSE_DATA to a folder you can write.") from problem
    return folder


def results_file():
    """Where this run's lines go: $COURSE_RESULTS (set by `course.py run --out`), else results.jsonl of the data folder."""
    return Path(os.environ["COURSE_RESULTS"]) if os.environ.get("COURSE_RESULTS") else data_folder() / "results.jsonl"


def set_notebook(name):
    """Name the notebook whose measurements follow."""
    global _notebook
    _notebook = name


def seed():
    """The seed of this run, from $COURSE_SEED; 0 unless a reference run sets another."""
    return int(os.environ.get("COURSE_SEED", "0"))


def full_size():
    """Whether this is a run at full size ($COURSE_SIZE is "full"), as the reference run is."""
    return os.environ.get("COURSE_SIZE") == "full"


def quick():
    """Whether this run only has to show that everything works ($COURSE_QUICK is 1), on a quarter of a live run's questions and training steps: the test suite's."""
    return os.environ.get("COURSE_QUICK") == "1"


def record(experiment, arm, metric, estimate, *, group="all", n=None, unit="fraction", claims=()):
    """Write one measurement and return its line, a dictionary as data/schemas/result.schema.json has it.

    estimate: a stats.Estimate, or a plain number (then give n; low and high are null). claims: a list of ids such as "R1".
    Raises CourseError before a notebook is named, for an unknown unit, a fraction outside 0–1, or a value that is no number.
    """
    if _notebook is None:
        raise CourseError("No notebook is named yet: call lessons.begin(...) before recording a result.")
    value, low, high = (getattr(estimate, name, None) for name in ("value", "low", "high"))
    value = float(estimate) if value is None else value
    n = getattr(estimate, "n", None) if n is None else n
    if unit not in UNITS:
        raise CourseError(f"unit is {unit!r}: use one of {', '.join(UNITS)}.")
    if not math.isfinite(value):
        raise CourseError(f"{experiment}/{arm}/{metric}: the value is {value}: something was divided by nothing before it came here.")
    if n is None or n < 1:
        raise CourseError(f"{experiment}/{arm}/{metric}: n is {n}: say how many observations stand behind the value.")
    if unit == "fraction" and (low is None or not 0 <= low <= value <= high <= 1):
        raise CourseError(f"{experiment}/{arm}/{metric}: a fraction needs 0 ≤ low ≤ value ≤ high ≤ 1, not {low}, {value}, {high}.")
    line = {
        "notebook": _notebook, "experiment": experiment, "arm": arm, "group": group, "metric": metric, "value": value, "low": low,
        "high": high, "n": int(n), "unit": unit, "seed": seed(), "claims": list(claims), "source": "run",
        "size": os.environ.get("COURSE_SIZE", "live"), **_provenance(),
    }
    _append(line)
    return line


def record_verdict(claim, word):
    """Write the verdict of a claim (its id) as a line of decide.ledger, whose value is a word of claims.VERDICTS. Returns the line."""
    from helpers.claims import VERDICTS

    if word not in VERDICTS:
        raise CourseError(f"The verdict of {claim} is {word!r}: it must be one of {', '.join(VERDICTS)}.")
    line = {
        "notebook": _notebook, "experiment": "decide.ledger", "arm": claim, "group": "all", "metric": "verdict", "value": word, "low": None,
        "high": None, "n": 1, "unit": "verdict", "seed": seed(), "claims": [claim], "source": "run",
        "size": os.environ.get("COURSE_SIZE", "live"), **_provenance(),
    }
    _append(line)
    return line


def record_scores(experiment, arm, metric, scores, facts, **more):
    """Mean of per-question scores with its interval by fact, recorded. Returns the line."""
    from helpers.stats import mean_interval

    return record(experiment, arm, metric, mean_interval(scores, facts), **more)


def record_difference(experiment, first, second, metric, scores, others, facts, *, group="all", claims=()):
    """The paired difference of two arms' per-question scores, first − second, with its interval by fact, recorded. Returns the line.

    Its arm is named first_over_second, as the rules of claims.jsonl have it.
    """
    from helpers.stats import difference_interval

    gap = difference_interval(scores, others, facts)
    return record(experiment, f"{first}_over_{second}", metric, gap, group=group, unit="difference", claims=claims)


def record_answers(experiment, arm, replies, questions, claims=()):
    """Score replies (contains, exact, f1), record each measure for each group and for all. Returns metric → line of group "all".

    The mean length of the replies, in words, comes with it as metric "words", unit "count".
    """
    from helpers import metrics

    measures = {
        "contains": lambda reply, q: metrics.contains(reply, q.answers, q.wrong),
        "exact": lambda reply, q: metrics.exact_match(reply, q.answers),
        "f1": lambda reply, q: metrics.token_f1(reply, q.answers),
    }
    for group in sorted({question.group for question in questions}):
        some = [(reply, question) for reply, question in zip(replies, questions) if question.group == group]
        for name, measure in measures.items():
            scores, facts = [measure(r, q) for r, q in some], [q.fact for _, q in some]
            record_scores(experiment, arm, name, scores, facts, group=group, claims=claims)
    facts = [question.fact for question in questions]
    lines = {
        name: record_scores(experiment, arm, name, [measure(r, q) for r, q in zip(replies, questions)], facts, claims=claims)
        for name, measure in measures.items()
    }
    words = sum(len(reply.split()) for reply in replies) / len(replies)
    return {**lines, "words": record(experiment, arm, "words", words, n=len(replies), unit="count", claims=claims)}


def record_ranking(experiment, arm, ranked, gold, facts, claims=()):
    """Score rankings (recall@1, recall@3, mrr, ndcg@10) and record them. Returns metric → line.

    ranked, gold: for each question, ranked chunk ids (ten or more, best first) and the gold ids.
    """
    from helpers import metrics

    measures = {
        "recall@1": lambda names, right: metrics.recall_at_k(names, right, 1),
        "recall@3": lambda names, right: metrics.recall_at_k(names, right, 3),
        "mrr": metrics.reciprocal_rank,
        "ndcg@10": metrics.ndcg_at_k,
    }
    return {
        name: record_scores(experiment, arm, name, [measure(names, right) for names, right in zip(ranked, gold)], facts, claims=claims)
        for name, measure in measures.items()
    }


def record_update(experiment, arm, replies, questions, seconds, claims=()):
    """Score replies about changed facts and record them with the seconds it took.

    contains: the new value is given; stale: the old one is, and not the new one (a bulletin may say "no longer 35 mg but 28 mg").
    """
    from helpers import metrics

    facts = [question.fact for question in questions]
    scored = {"contains": [metrics.contains(r, q.answers) for r, q in zip(replies, questions)],
              "stale": [metrics.contains(r, q.stale) * (1 - metrics.contains(r, q.answers)) for r, q in zip(replies, questions)]}
    for group in ("changed", "all"):  # one and the same here; "all" is where every experiment has its overall figure
        lines = {name: record_scores(experiment, arm, name, scores, facts, group=group, claims=claims) for name, scores in scored.items()}
    return {**lines, "seconds": record(experiment, arm, "seconds", seconds, n=1, unit="s", claims=claims)}


@functools.cache
def _provenance():
    from helpers import llm, weights, world

    return {"model": weights.model_name(), "precision": llm.choose_precision(), "data_version": world.data_version()}


def _append(line):
    path = results_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as problem:
        raise CourseError(f"The result could not be written to {path} ({problem.strerror}): make room, or set COURSE_DATA to another folder.") from problem


def reference_of(line):
    """The reference lines (all seeds) of the same experiment, arm, group and metric as a line of this run; often none."""
    same = ("experiment", "arm", "group", "metric")
    return [r for r in lines("reference") if all(r[name] == line[name] for name in same)]


def lines(source="run", path=None):
    """The lines of a results file as dictionaries, the last line of each key only. source: "run" (this machine) or "reference".

    An empty list where there is no file. Raises CourseError naming the line that is not a record.
    """
    if source not in ("run", "reference"):
        raise CourseError(f"source is {source!r}: use 'run' or 'reference'.")
    path, kept = Path(path) if path else (results_file() if source == "run" else REFERENCE), {}
    for number, text in enumerate(path.read_bytes().splitlines() if path.exists() else [], 1):
        try:
            line = json.loads(text)
            kept[tuple(line[name] for name in KEY)] = {name: line[name] for name in COLUMNS}
        except (ValueError, KeyError, TypeError) as problem:
            raise CourseError(f"{path}, line {number} is not a result ({problem}): delete that line, or the file, and run the notebook again.") from problem
    return [line for line in kept.values() if line["source"] == source]


def load(source="run", path=None):
    """The same as a DataFrame with the contract's columns."""
    import pandas as pd

    return pd.DataFrame(lines(source, path), columns=COLUMNS)
