"""Is data/ sound? Each fault found is one sentence naming file, line, field and remedy."""

import csv
import datetime
import json
from collections import Counter, defaultdict

from helpers import CourseError, documents, metrics, world


def problems(folder=world.DATA):
    """All faults of a data folder, as a list of sentences; empty when it is sound."""
    try:
        found = documents.load_documents(folder / "documents")
        dates = world.dates(folder)
    except CourseError as problem:
        return [str(problem)]
    faults = _references(found)
    rows, row_faults = _checked_rows(folder / "facts.csv", _read_facts, folder / "schemas" / "fact.schema.json")
    asked, asked_faults = _checked_rows(folder / "questions.jsonl", _read_questions, folder / "schemas" / "question.schema.json")
    faults += row_faults + asked_faults
    faults += [f"{name} holds no rows: restore it with `git checkout data`." for name, some in (("facts.csv", rows), ("questions.jsonl", asked)) if not some]
    if faults:
        return faults
    try:
        facts = world.load_facts(folder)
    except CourseError as problem:
        return [str(problem)]
    return _facts(facts, found) + _questions(asked, facts, found, dates) + _splits(asked)


def _read_facts(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, {**row, "aliases": [alias for alias in (row.get("aliases") or "").split("|") if alias]}


def _read_questions(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        yield number, json.loads(line)


def _checked_rows(path, read, schema):
    """(rows as (line number, row), faults against the JSON Schema)."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    rows, faults, number = [], [], 0
    try:
        for number, row in read(path):
            rows.append((number, row))
            for name in ("valid_from", "valid_to"):
                if row.get(name) and not _is_date(row[name]):
                    faults.append(f"{path.name}, line {number}, {name}: {row[name]!r} is no date: write one as 2031-01-31.")
            for error in validator.iter_errors(row):
                field = ".".join(map(str, error.absolute_path)) or "the row"
                faults.append(f"{path.name}, line {number}, {field}: {error.message[:160]}: correct it (see data/README.md).")
    except OSError as problem:
        faults.append(f"{path.name} can't be read ({problem.strerror}): put it back, for example with `git checkout data`.")
    except ValueError as problem:
        faults.append(f"{path.name}, line {number + 1}: not readable ({problem}): correct that line.")
    return rows, faults


def _is_date(text):
    try:
        return bool(datetime.date.fromisoformat(text))
    except ValueError:
        return False


def _references(found):
    """supersedes must name documents or sections that exist, and earlier ones."""
    known = {document.id: document for document in found}
    faults = []
    for document in found:
        for reference in document.supersedes:
            name, _, anchor = str(reference).partition("#")
            old = known.get(name)
            if old is None or (anchor and anchor not in {section.anchor for section in old.sections}):
                faults.append(f"{document.id}.md, supersedes: there is no {reference!r}: name a document, or document#section.")
            elif old.effective >= document.effective:
                faults.append(f"{document.id}.md, supersedes: {name} is not older: correct one of the two effective dates.")
    return faults


def _facts(facts, found):
    """Each value stands word for word in its section; a changed fact's rows follow each other without gap or overlap."""
    sections = {(document.id, section.anchor): section for document in found for section in document.sections}
    faults, values = [], defaultdict(list)
    for line, fact in enumerate(facts, 2):
        place = f"facts.csv, line {line}"
        section = sections.get((fact.document_id, fact.section))
        if section is None:
            faults.append(f"{place}, section: there is no {fact.document_id}#{fact.section}: name the section that states the value.")
        elif fact.value not in " ".join(section.text.split()):
            faults.append(f"{place}, value: {fact.value!r} does not stand in {fact.document_id}#{fact.section}: correct one of the two.")
        values[fact.fact_id].append(fact)
    for name, rows in values.items():
        rows = sorted(rows, key=lambda fact: fact.valid_from)
        for before, after in zip(rows, rows[1:]):
            day = datetime.date.fromisoformat(after.valid_from) - datetime.timedelta(days=1)
            if before.valid_to != day.isoformat():
                faults.append(f"facts.csv, {name}: valid_to is {before.valid_to!r} and the next value starts {after.valid_from}: end it on {day}.")
        if rows[-1].valid_to:
            faults.append(f"facts.csv, {name}: the last value ends on {rows[-1].valid_to}: leave valid_to empty.")
    return faults


def _questions(asked, facts, found, dates):
    """Answers agree with facts.csv, stand in their gold sections, stand nowhere else with the subject, and are not given away."""
    now = {fact.fact_id: fact for fact in facts if not fact.valid_to or fact.valid_to >= dates["second"]}
    old = {}
    for fact in sorted(facts, key=lambda fact: fact.valid_from):
        if fact.valid_to and dates["first"] <= fact.valid_to < dates["second"]:
            old.setdefault(fact.fact_id, fact)
    force = documents.in_force(found, dates["second"])
    sections = {f"{d.id}#{s.anchor}" if s.anchor else d.id: s.text for d in force for s in d.sections}
    plain = {name: f" {metrics.normalise(text)} " for name, text in sections.items()}
    faults, ids, seen = [], Counter(row["id"] for _, row in asked), {}
    for line, row in asked:
        place = f"questions.jsonl, line {line}"
        if ids[row["id"]] > 1:
            faults.append(f"{place}, id: {row['id']} is used twice: give each question its own.")
        text = metrics.normalise(row["question"])
        if text in seen:
            faults.append(f"{place}, question: the same words as line {seen[text]}: ask it differently.")
        seen[text] = line
        if metrics.contains(row["question"], row["answers"] + row["stale"]) and row["group"] not in ("reversed", "aggregate"):
            faults.append(f"{place}, question: it names its own answer: take the answer out.")
        for fact in row["facts"]:
            if fact not in now:
                faults.append(f"{place}, facts: there is no fact {fact!r}: name one of facts.csv.")
        for gold in row["documents"]:
            if gold not in sections:
                faults.append(f"{place}, documents: {gold!r} is not in force on {dates['second']}: name the section that holds the answer then.")
        if row["group"] not in ("stable_tuned", "stable_unseen", "changed") or row["facts"][0] not in now:
            continue
        fact = now[row["facts"][0]]
        if row["answers"][0] != fact.value:
            faults.append(f"{place}, answers: the first is {row['answers'][0]!r} and facts.csv says {fact.value!r}: make them agree.")
        if row["group"] == "changed" and (row["facts"][0] not in old or row["stale"][0] != old[row["facts"][0]].value):
            faults.append(f"{place}, stale: it does not begin with the former value in facts.csv: correct it, or the group.")
        if not any(metrics.contains(sections.get(gold, ""), row["answers"]) for gold in row["documents"]):
            faults.append(f"{place}, documents: the answer {fact.value!r} does not stand there: name the section that states it.")
        subject = metrics.normalise(fact.subject)
        for name, said in plain.items():
            if name not in row["documents"] and f" {subject} " in said and metrics.contains(sections[name], row["answers"]):
                faults.append(f"{place}, documents: {name} also holds {fact.value!r} beside {fact.subject}: change one of the two sections.")
    return faults


def _splits(asked):
    """No subject in two subject splits, each fact with 5 train, 1 development and 2 test phrasings at least."""
    faults, splits, phrasings = [], defaultdict(set), defaultdict(Counter)
    for _, row in asked:
        if row["group"] in ("stable_tuned", "stable_unseen", "changed"):
            splits[row["facts"][0].split(".")[0]].add(row["subject_split"])
            phrasings[row["facts"][0]][row["split"]] += 1
    faults += [f"questions.jsonl: {subject} is in the subject splits {sorted(some)}: keep it in one." for subject, some in splits.items() if len(some) > 1]
    for fact, count in phrasings.items():
        for split, least in (("train", 5), ("development", 1), ("test", 2)):
            if count[split] < least:
                faults.append(f"questions.jsonl: {fact} has {count[split]} {split} phrasings: write at least {least}.")
    return faults
