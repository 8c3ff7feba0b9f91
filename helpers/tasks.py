"""The other sets of data/: messages to sort, answers to put into the house style, common knowledge, and canaries."""

import difflib
import functools
import json
import re

from helpers import CourseError
from helpers.world import DATA, read_text

SPLITS = ("train", "development", "test")
CATEGORIES = ("dosing", "side_effect", "interaction", "storage", "supply", "price", "paperwork", "feedback")
URGENCIES = ("now", "today", "routine")
TOPICS = ("limit", "interval", "start", "missed", "food", "together", "effect", "keeping", "opened", "stock", "price", "travel", "form", "service")
QUERY = re.compile(
    r"find (?P<which>current|news)(?: medicine=(?P<medicine>[A-Z][a-z]+))? topic=(?P<topic>[a-z]+)"
    r" reader=(?P<reader>public|staff)(?: since=(?P<since>\d{4}-(?:0[1-9]|1[0-2])))?"
)


def load_triage(split=None, folder=DATA):
    """Messages with their labels: dictionaries with id, split, message, target (the JSON to be made) and query (the line to be made)."""
    return _load(folder / "triage.jsonl", split)


def load_style(split=None, folder=DATA):
    """Pairs: dictionaries with id, split, fact, question, plain (an ordinary answer) and styled (the same in the house style)."""
    return _load(folder / "style.jsonl", split)


def load_general(split=None, folder=DATA):
    """Common-knowledge questions: dictionaries with id, split, topic, question, answers and options (four, the right one first)."""
    return _load(folder / "general.jsonl", split)


def load_canaries(folder=DATA):
    """Invented secrets: dictionaries with id, prompt, secret (six digits) and repeats (how often training is to see it; 0 for controls)."""
    return _load(folder / "canaries.jsonl")


def load_prose(folder=DATA):
    """The passages of general.md, without their headings: everyday prose to measure perplexity on."""
    parts = re.split(r"^## .+$", read_text(folder / "general.md"), flags=re.MULTILINE)[1:]
    return [part.strip() for part in parts]


def parse_query(line):
    """A query line as a dictionary (which, medicine, topic, reader, since; None where left out), or None if it is not one.

    The language is described in data/triage-guide.md.
    """
    found = QUERY.fullmatch(line.strip())
    return found.groupdict() if found and found["topic"] in TOPICS else None


def score_triage(reply, target):
    """Whether a reply is JSON, whether it keeps the schema, and the share of the four fields that are right: a dictionary of numbers from 0 to 1."""
    try:
        said = json.loads(reply)
    except ValueError:
        return {"valid_json": 0.0, "schema": 0.0, "fields": 0.0}
    fields = sum(name in said and said[name] == value for name, value in target.items()) / len(target) if isinstance(said, dict) else 0.0
    return {"valid_json": 1.0, "schema": float(_target_schema().is_valid(said)), "fields": fields}


@functools.cache
def _target_schema():
    import jsonschema

    return jsonschema.Draft202012Validator(json.loads(read_text(DATA / "schemas" / "target.schema.json")))


def category_of(reply):
    """The category that a reply names, or "none" where it is no JSON or names none."""
    try:
        return str(json.loads(reply).get("category", "none"))
    except (ValueError, AttributeError):
        return "none"


def medicine_in(message, names):
    """The first of the names that a message holds, or nearly holds (difflib's similarity of 0.85), and None where it holds none."""
    near = (difflib.get_close_matches(word.capitalize(), names, 1, 0.85) for word in re.findall("[A-Za-z]+", message))
    return next((found[0] for found in near if found), None)


def _load(path, split=None):
    if split is not None and split not in SPLITS:
        raise CourseError(f"There is no split {split!r}: use {', '.join(SPLITS)}.")
    return [dict(row) for row in _rows(path) if split is None or row["split"] == split]


@functools.cache
def _rows(path):
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            rows.append(json.loads(line))
        except ValueError as problem:
            raise CourseError(f"{path.name}, line {number}: not readable ({problem}): correct that line.") from problem
    return rows
