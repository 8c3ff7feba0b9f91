"""The invented world that every experiment stands on: its dates, facts and questions, and the hash that versions them."""

import csv
import datetime
import functools
import hashlib
import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass

from helpers import COURSE, CourseError, metrics, results

GROUPS = (
    "stable_tuned", "stable_unseen", "changed", "reversed", "two_document", "aggregate", "rule", "unanswerable", "staff_only",
)
DATA = COURSE / "data"
VERSIONED = ("world.json", "facts.csv", "questions.jsonl", "triage.jsonl", "style.jsonl", "general.jsonl", "general.md", "canaries.jsonl", "house-style.md",
             "triage-guide.md")


@dataclass(frozen=True)
class Fact:
    """One value of one attribute of one subject, for a time. A changed fact has a row for each of its values."""

    fact_id: str
    subject: str
    attribute: str
    value: str
    aliases: tuple
    document_id: str
    section: str
    valid_from: str
    valid_to: str


@dataclass(frozen=True)
class Question:
    """One phrasing of one question.

    `answers` are right today, `stale` were right once, `wrong` are the other names a comparison offers; `documents` hold the evidence.
    `item` is the same for all phrasings of one question.
    """

    id: str
    item: str
    group: str
    subject_split: str
    split: str
    phrasing: int
    facts: tuple
    question: str
    answers: tuple
    stale: tuple
    wrong: tuple
    documents: tuple
    kind: str | None

    @property
    def fact(self):
        """What intervals resample by: the facts asked about, or the item where no fact stands behind it."""
        return "+".join(self.facts) or self.item


def read_text(path):
    """The text of a file of data/. Raises CourseError where it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CourseError(f"{path.name} can't be read ({getattr(problem, 'strerror', 'not UTF-8')}): put it back, for example with `git checkout data`.") from problem


def dates(folder=DATA):
    """The world's two dates, as a dictionary with "first" and "second" (ISO text)."""
    try:
        world = json.loads((folder / "world.json").read_text(encoding="utf-8"))
        return {name: datetime.date.fromisoformat(world[name]).isoformat() for name in ("first", "second")}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise CourseError(f"world.json does not give the world's two dates ({problem!r}): restore it with `git checkout data`.") from problem


def load_facts(folder=DATA):
    """All rows of facts.csv. Raises CourseError naming line and column of a malformed row."""
    columns = list(Fact.__dataclass_fields__)
    reader = csv.DictReader(read_text(folder / "facts.csv").splitlines())
    if reader.fieldnames != columns:
        raise CourseError(f"facts.csv, line 1: the columns are {reader.fieldnames}: they must be {columns}.")
    facts = []
    for row in reader:
        if None in row or None in row.values():
            raise CourseError(f"facts.csv, line {reader.line_num}: it must have {len(columns)} columns; put values with commas in quotes.")
        facts.append(Fact(**{**row, "aliases": tuple(filter(None, row["aliases"].split("|")))}))
    return facts


def load_questions(groups=None, split=None, folder=DATA):
    """The questions, in file order.

    groups: some of GROUPS (default: all). split: "train", "development" or "test": by phrasing; "test" also leaves out the
    development medicines, "development" the test medicines, and "train" both, so that nothing is tuned on what is tested.
    Raises CourseError for a malformed line, an unknown group or split.
    """
    for group in groups or ():
        if group not in GROUPS:
            raise CourseError(f"There is no group {group!r}: the groups are {', '.join(GROUPS)}.")
    if split not in (None, "train", "development", "test"):
        raise CourseError(f"There is no split {split!r}: use train, development or test.")
    hidden = {"train": ("unseen_development", "unseen_test"), "development": ("unseen_test",), "test": ("unseen_development",)}.get(split, ())
    return [
        question for question in _all_questions(folder)
        if (not groups or question.group in groups) and (not split or question.split == split)
        and question.subject_split not in hidden
    ]


def one_per_fact(questions):
    """The first phrasing of each fact: what the live size of an experiment asks."""
    first = {}
    for question in questions:
        first.setdefault(question.fact, question)
    return list(first.values())


def sized(questions, facts=36):
    """What an experiment asks: in the full size ($COURSE_SIZE is "full") all the questions, else one phrasing of each of some facts.

    facts: how many at most, drawn with a fixed seed, from each group in proportion. File order is kept. A quick run takes a quarter of them.
    """
    if results.full_size():
        return list(questions)
    if results.quick():
        facts = min(facts, max(6, facts // 4))
    groups = defaultdict(list)
    for question in one_per_fact(questions):
        groups[question.group].append(question)
    total, kept = sum(map(len, groups.values())), set()
    for group in groups.values():
        share = min(len(group), max(1, round(facts * len(group) / total)))
        kept |= {question.id for question in random.Random(2031).sample(group, share)}
    return [question for question in questions if question.id in kept]


def chance_levels(questions):
    """Group → the share right of a guesser who knows the form of the answer but not the answer.

    The guess is drawn evenly from all answers of the same form ("… mg", "… days", words), or from all with a number where fewer than
    three have that form; for a crate from the crates; in a comparison from the names it offers. "unanswerable" has no level.
    """
    items, pools, levels = {q.item: q for q in questions if q.answers}, defaultdict(set), defaultdict(list)
    for q in items.values():
        for form in _forms(q):
            pools[form].add(q.answers[0])
    for q in items.values():
        pool = next(pools[form] for form in _forms(q) if len(pools[form]) >= 3)
        share = sum(metrics.contains(guess, q.answers) for guess in pool) / len(pool)
        levels[q.group].append(1 / (1 + len(q.wrong)) if q.wrong else share)
    return {group: sum(some) / len(some) for group, some in levels.items()}


def _forms(question):
    """The form of an answer, then a wider one."""
    answer = question.answers[0]
    if re.search(r"\d", answer):
        return re.sub(r"[\d.,:]+", "…", answer), "number"
    return ("crate" if answer.endswith(" crate") else "count" if question.group == "aggregate" else "words"), "words"


def gold_chunks(question, chunks):
    """Ids of the chunks that answer a question: those of its gold sections that hold an answer (all of them, where none does)."""
    there = [chunk for chunk in chunks if chunk.section in question.documents]
    return [chunk.id for chunk in there if metrics.contains(chunk.body, question.answers)] or [chunk.id for chunk in there]


def other_chunks(questions, chunks, k, seed=0):
    """For each question, k chunks drawn at random from those that do not name its subject: the control for "any passage helps"."""
    draw, picked = random.Random(seed), []
    for question in questions:
        subjects = [fact.split(".")[0].replace("_", " ").replace("-", " ") for fact in question.facts]
        mine = {reference.split("#")[0] for reference in question.documents}
        others = [c for c in chunks if c.section.split("#")[0] not in mine and not any(name in c.text.lower() for name in subjects)]
        picked.append(draw.sample(others, k))
    return picked


@functools.cache
def _all_questions(folder):
    questions = []
    for number, line in enumerate(read_text(folder / "questions.jsonl").splitlines(), 1):
        try:
            row = json.loads(line)
            row.update({name: tuple(row[name]) for name in ("facts", "answers", "stale", "wrong", "documents")})
            questions.append(Question(**row))
        except (ValueError, TypeError, KeyError) as problem:
            raise CourseError(
                f"questions.jsonl, line {number}: not a question ({problem}): write one JSON object with the fields "
                f"{', '.join(Question.__dataclass_fields__)}."
            ) from problem
    return questions


@functools.cache
def data_version(folder=DATA):
    """Twelve hexadecimal digits over everything in data/ that an experiment reads: another hash, another world.

    The claims are left out: a verdict's rule may change without changing what was measured. So are the pages to practise on: an adapter's key covers its rows.
    """
    total = hashlib.sha256()
    for path in [*(folder / name for name in VERSIONED), *sorted((folder / "documents").rglob("*.md"))]:
        text = read_text(path).encode()
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + text + b"\0")
    return total.hexdigest()[:12]
