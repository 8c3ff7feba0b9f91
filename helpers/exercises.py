"""What can be asked of which pages, for practising to read: the training questions of this world, and those of practice.jsonl."""

import difflib
import functools
import json
import re
from collections import defaultdict
from dataclasses import dataclass

from helpers import CourseError, documents, world
from helpers.desk import K, gold_passages, names, subject
from helpers.retrieval import letter_pieces

LONGEST = 1120  # characters of question and passages in a row, which is then at most 384 tokens long
PRACTISED = ("stable_tuned", "changed", "unanswerable", "two_document", "aggregate", "rule")
ASKED = {  # attribute → what the desk calls it
    "daily_limit": "daily limit", "price": "price", "interval": "interval", "starting_dose": "starting dose", "not_with": "forbidden company",
    "storage_temperature": "storage temperature", "cabinet": "cabinet", "pack_size": "pack size", "shelf_life_opened": "shelf life once opened",
    "before_meals": "wait before a meal", "minimum_age": "minimum age", "signed_by": "signatory", "supplier": "supplier", "review_after": "time to review",
    "mixing_volume": "mixing volume", "colour": "colour", "tablet_colour": "colour", "cap_colour": "colour", "site": "site of use",
    "works_after": "wait until it works", "flavour": "flavour", "side_effect": "harmless side effect", "rule": "own limit",
}


@dataclass(frozen=True)
class Exercise:
    """A question and what answers it: the chunks in `gold` (none: nothing does), of which the first of `answers` is the value a reply gives. names: the medicines
    it is about; about, asked: what the reply calls its subject and the thing asked for; item: the same for all wordings; rule: the question, where the answer is a sum."""

    question: str
    item: str
    about: str
    asked: str
    answers: tuple
    gold: tuple
    names: tuple
    rule: world.Question | None = None


@functools.cache
def load_practice():
    """practice.jsonl: a list of (chunk, its facts as dictionaries with asked, value, questions; and about). Raises CourseError naming a malformed line."""
    pages = []
    for number, line in enumerate(world.read_text(world.DATA / "practice.jsonl").splitlines(), 1):
        try:
            row = json.loads(line)
            chunk = documents.Chunk(f"practice/{number:04}", f"practice/{number:04}", row["title"], row["body"])
            pages.append((chunk, [{"about": row["about"], **{key: fact[key] for key in ("asked", "value", "questions")}} for fact in row["facts"]]))
        except (ValueError, TypeError, KeyError) as problem:
            raise CourseError(f"practice.jsonl, line {number}: not a page to practise on ({problem!r}): put it back with `git checkout data`.") from problem
    return pages


def practice_exercises():
    """The questions of practice.jsonl, about medicines and services that no document and no other question names."""
    made = []
    for chunk, facts in load_practice():
        for fact in facts:
            about = fact["about"].removeprefix("the ")
            named = (about,) if about[0].isupper() else ()
            made += [Exercise(question, f"{chunk.id}:{fact['value']}", about[0].upper() + about[1:], fact["asked"], (fact["value"],), (chunk,), named)
                     for question in fact["questions"]]
    return made


def world_exercises(chunks):
    """The training questions about tuned subjects, as far as at most K of these chunks answer them and fit into a row."""
    made = []
    for q in world.load_questions(PRACTISED, "train"):
        gold = gold_passages(q, chunks)
        if q.subject_split == "tuned" and len(gold) <= K and sum(len(chunk.text) for chunk in gold) + len(q.question) <= LONGEST:
            made.append(Exercise(q.question, q.item, subject(q), asked_for(q), q.answers if gold else (), tuple(gold), tuple(names(q)), q if q.group == "rule" else None))
    return made


def without_unseen(chunks):
    """The chunks that no question about an unseen subject rests on and that name no unseen medicine."""
    unseen = [q for q in world.load_questions() if q.subject_split.startswith("unseen")]
    sections = {reference for q in unseen for reference in q.documents}
    unnamed = {name for q in unseen for name in names(q)}
    return [chunk for chunk in chunks if chunk.section not in sections and not any(name in chunk.text for name in unnamed)]


def near_pages(exercises, chunks, depth=8):
    """Question → the chunks that share most with it: every common run of four letters counts, rare ones more. Whole numbers, so that every machine
    ranks alike."""
    import numpy
    from sklearn.feature_extraction.text import CountVectorizer

    pieces = CountVectorizer(analyzer=letter_pieces, binary=True, dtype=numpy.int64)
    pages = pieces.fit_transform(chunk.text for chunk in chunks)
    weight = len(chunks) // numpy.asarray(pages.sum(0))[0]
    asked, near = pieces.transform(e.question for e in exercises).multiply(weight).tocsr(), {}
    for start in range(0, len(exercises), 256):  # some at a time, to save memory
        best = numpy.argsort(-(asked[start:start + 256] @ pages.T).toarray(), axis=1, kind="stable")[:, :depth]
        near |= {e: [chunks[n] for n in some] for e, some in zip(exercises[start:], best)}
    return near


class Shelf:
    """Finds exercises by a chunk that they rest on, by a medicine they are about; and the values that things asked for can have."""

    def __init__(self, exercises):
        self.resting, self.about, self.values = defaultdict(list), defaultdict(list), defaultdict(set)
        for e in exercises:
            for chunk in e.gold:
                self.resting[chunk].append(e)
            for name in e.names:
                self.about[name].append(e)
            if len(e.gold) == 1:
                self.values[e.asked].add(e.answers[0])

    def on(self, text):
        """The medicines that a text names, sorted."""
        return sorted(set(re.findall(r"\b[A-Z][a-z]+\b", text)) & self.about.keys())


def asked_for(q):
    """What the desk calls the thing that a question asks for: "daily limit", "price" …; "answer" where it has no word of its own."""
    if q.group in ("two_document", "aggregate"):
        return "answer"
    attribute = q.group if q.group == "rule" else q.facts[0].split(".")[1] if q.facts else q.item.split(":")[-1]
    return ASKED.get(attribute, "answer")


@functools.cache
def misspelt(e):
    """Whether a question has the name of its one medicine wrong, by a letter or two."""
    words = re.findall(r"\w+", e.question)
    return len(e.names) == 1 and e.names[0] not in words and bool(difflib.get_close_matches(e.names[0], words, cutoff=0.75))
