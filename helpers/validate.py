"""Is data/ sound? Each fault found is one sentence naming file, line, field and remedy."""

import csv
import datetime
import json
from collections import Counter, defaultdict

from helpers import CourseError, documents, metrics, style, tasks, world

SINGLE = ("stable_tuned", "stable_unseen", "changed")
SPLIT_OF = {6: "development", 7: "test", 8: "test"}
SUBJECTS = {"tuned": "train", "unseen_development": "development", "unseen_test": "test"}
FILES = {
    "facts.csv": "fact", "questions.jsonl": "question", "triage.jsonl": "triage", "style.jsonl": "style", "general.jsonl": "general",
    "canaries.jsonl": "canary", "claims.jsonl": "claim", "practice.jsonl": "practice",
}


def problems(folder=world.DATA):
    """All faults of a data folder, as a list of sentences; empty when it is sound."""
    try:
        found = documents.load_documents(folder / "documents")
        dates = world.dates(folder)
    except CourseError as problem:
        return [str(problem)]
    faults, rows = _references(found), {}
    for name, schema in FILES.items():
        rows[name], some = _checked_rows(folder / name, _read_facts if name == "facts.csv" else _read_lines, folder / "schemas" / f"{schema}.schema.json")
        faults += some
        if not some and not rows[name]:
            faults.append(f"{name} holds no rows: restore it with `git checkout data`.")
    if faults:
        return faults
    try:
        facts = world.load_facts(folder)
        if len(tasks.load_prose(folder)) < 2:
            faults.append("general.md has no passages under ## headings: restore it with `git checkout data`.")
    except CourseError as problem:
        return [str(problem)]
    asked = rows["questions.jsonl"]
    subject_split = {fact: row["subject_split"] for _, row in asked for fact in row["facts"]}
    return (
        faults + _facts(facts, found) + _questions(asked, facts, found, dates) + _splits(asked) + _same_ids(rows)
        + _triage(rows["triage.jsonl"], facts, subject_split) + _style(rows["style.jsonl"], facts, subject_split, dates) + _general(rows["general.jsonl"])
        + _canaries(rows["canaries.jsonl"], found) + _practice(rows["practice.jsonl"], facts, found)
    )


def _read_facts(path):
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        for row in reader:
            yield reader.line_num, {**row, "aliases": [alias for alias in (row.get("aliases") or "").split("|") if alias]}


def _read_lines(path):
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
    sections = {f"{d.id}#{s.anchor}" if s.anchor else d.id: s.text for d in documents.in_force(found, dates["second"]) for s in d.sections}
    faults, ids, seen = [], Counter(row["id"] for _, row in asked), {}
    for line, row in asked:
        place = f"questions.jsonl, line {line}"
        if ids[row["id"]] > 1:
            faults.append(f"{place}, id: {row['id']} is used twice: give each question its own.")
        text = metrics.normalise(row["question"])
        if text in seen:
            faults.append(f"{place}, question: the same words as line {seen[text]}: ask it differently.")
        seen[text] = line
        named = metrics.contains(row["question"], row["answers"] + row["stale"])
        if named and not (row["group"] == "aggregate" and row["wrong"]):  # a comparison names what it compares
            faults.append(f"{place}, question: it names its own answer: take the answer out.")
        for fact in row["facts"]:
            if fact not in now:
                faults.append(f"{place}, facts: there is no fact {fact!r}: name one of facts.csv.")
        for gold in row["documents"]:
            if gold not in sections:
                faults.append(f"{place}, documents: {gold!r} is not in force on {dates['second']}: name the section that holds the answer then.")
        if row["group"] in SINGLE and row["facts"][0] in now:
            faults += _single(place, row, now[row["facts"][0]], old.get(row["facts"][0]), sections)
    return faults + _evidence(asked, now, sections)


def _single(place, row, fact, former, sections):
    """A question about one fact has that fact's value as its answer, its former value as `stale`, and the answer in its gold section."""
    faults = []
    if row["answers"][0] != fact.value:
        faults.append(f"{place}, answers: the first is {row['answers'][0]!r} and facts.csv says {fact.value!r}: make them agree.")
    if row["group"] == "changed" and (former is None or row["stale"][0] != former.value):
        faults.append(f"{place}, stale: it does not begin with the former value in facts.csv: correct it, or the group.")
    if not any(metrics.contains(sections.get(gold, ""), row["answers"]) for gold in row["documents"]):
        faults.append(f"{place}, documents: the answer {fact.value!r} does not stand there: name the section that states it.")
    return faults


def _evidence(asked, now, sections):
    """No section but the gold ones holds an answer together with the subject that the question names."""
    plain = {name: f" {metrics.normalise(text)} " for name, text in sections.items()}
    subjects = {f" {metrics.normalise(fact.subject)} ": fact.subject for fact in now.values()}
    about = {subject: [name for name, text in plain.items() if subject in text] for subject in subjects}
    faults, done = [], set()
    for line, row in asked:
        if row["item"] in done or row["group"] in ("aggregate", "reversed", "unanswerable"):
            continue
        done.add(row["item"])
        answers = [answer for answer in row["answers"] if not answer.isdigit()]  # a bare number is no evidence: it recurs
        text = f" {metrics.normalise(row['question'])} "
        for subject in (subject for subject in subjects if subject in text):
            faults += [
                f"questions.jsonl, line {line}, documents: {name} also holds {row['answers'][0]!r} beside {subjects[subject]}: change one of the two sections."
                for name in about[subject] if name not in row["documents"] and metrics.contains(sections[name], answers)
            ]
    return faults


def _splits(asked):
    """Each subject in one subject split, each item alike in all its phrasings, each fact with 5 train, 1 development and 2 test phrasings."""
    faults, splits, phrasings, items = [], defaultdict(set), defaultdict(Counter), {}
    for line, row in asked:
        for fact in row["facts"]:
            splits[fact.split(".")[0]].add(row["subject_split"])
        if row["group"] in SINGLE:
            phrasings[row["facts"][0]][row["split"]] += 1
        first = items.setdefault(row["item"], row)
        for field in ("group", "subject_split", "facts", "answers", "stale", "wrong", "documents", "kind"):
            if row[field] != first[field]:
                faults.append(f"questions.jsonl, line {line}, {field}: it differs from {first['id']}, another phrasing of {row['item']}: make them alike.")
        if row["split"] != SPLIT_OF.get(row["phrasing"], "train"):
            faults.append(f"questions.jsonl, line {line}, split: phrasing {row['phrasing']} belongs to {SPLIT_OF.get(row['phrasing'], 'train')}: correct it.")
    faults += [f"questions.jsonl: {subject} is in the subject splits {sorted(some)}: keep it in one." for subject, some in splits.items() if len(some) > 1]
    for fact, count in phrasings.items():
        for split, least in (("train", 5), ("development", 1), ("test", 2)):
            if count[split] < least:
                faults.append(f"questions.jsonl: {fact} has {count[split]} {split} phrasings: write at least {least}.")
    return faults


def _same_ids(rows):
    """Ids are used once, also in the files whose lines are not checked further for it."""
    faults = []
    for name in ("triage.jsonl", "style.jsonl", "general.jsonl", "canaries.jsonl", "claims.jsonl"):
        count = Counter(row["id"] for _, row in rows[name])
        faults += [f"{name}, line {line}, id: {row['id']} is used twice: give each line its own." for line, row in rows[name] if count[row["id"]] > 1]
    return faults


def _triage(rows, facts, subject_split):
    """Queries can be read and agree with the labels; a medicine that is named belongs to the message's split; no message twice."""
    split_of = {fact.subject: SUBJECTS[subject_split[fact.fact_id]] for fact in facts if fact.fact_id in subject_split}
    faults, seen = [], {}
    for line, row in rows:
        place, query, medicine = f"triage.jsonl, line {line}", tasks.parse_query(row["query"]), row["target"]["medicine"]
        if query is None:
            faults.append(f"{place}, query: {row['query']!r} is not in the query language: see data/triage-guide.md.")
        elif query["medicine"] != medicine:
            faults.append(f"{place}, query: its medicine is {query['medicine']!r} and the target's {medicine!r}: make them agree.")
        if medicine is not None and split_of.get(medicine) != row["split"]:
            faults.append(f"{place}, target.medicine: {medicine!r} belongs to the split {split_of.get(medicine)!r}: use a medicine of {row['split']}.")
        faults += _twice(place, "message", row["message"], seen, line)
    return faults


def _style(rows, facts, subject_split, dates):
    """Both answers give today's value of their fact, the styled one keeps every rule of the house style and the plain one does not."""
    now = {fact.fact_id: fact for fact in facts if not fact.valid_to or fact.valid_to >= dates["second"]}
    faults, seen = [], {}
    for line, row in rows:
        place, fact = f"style.jsonl, line {line}", now.get(row["fact"])
        if fact is None:
            faults.append(f"{place}, fact: there is no fact {row['fact']!r}: name one of facts.csv.")
            continue
        if SUBJECTS[subject_split[row["fact"]]] != row["split"]:
            faults.append(f"{place}, split: {row['fact']} belongs to the subject split {subject_split[row['fact']]}: correct the split.")
        broken = [rule for rule, kept in style.check_style(row["styled"], fact.subject, fact.value).items() if not kept]
        if broken:
            faults.append(f"{place}, styled: it breaks the rule {broken[0]} of data/house-style.md: rewrite it.")
        if style.style_score(row["plain"], fact.subject) == 1:
            faults.append(f"{place}, plain: it keeps the house style already: write it as others would.")
        if not metrics.contains(row["plain"], [fact.value, *fact.aliases]):
            faults.append(f"{place}, plain: it does not give {fact.value!r}: it must say the same as the styled answer.")
        faults += _twice(place, "styled", row["styled"], seen, line)
    return faults


def _general(rows):
    """The first option is the answer, the others are not, and no question gives its answer away or stands twice."""
    faults, seen = [], {}
    for line, row in rows:
        place = f"general.jsonl, line {line}"
        if row["options"][0] != row["answers"][0] or any(metrics.exact_match(option, row["answers"]) for option in row["options"][1:]):
            faults.append(f"{place}, options: the first must be the answer, and only the first: correct them.")
        if metrics.contains(row["question"], row["answers"]):
            faults.append(f"{place}, question: it names its own answer: take the answer out.")
        faults += _twice(place, "question", row["question"], seen, line)
    return faults


def _canaries(rows, found):
    """A canary's prompt stands once, and nowhere in the documents."""
    faults, seen = [], {}
    for line, row in rows:
        place = f"canaries.jsonl, line {line}"
        faults += _twice(place, "prompt", row["prompt"], seen, line)
        if any(row["prompt"].lower() in document.text.lower() for document in found):
            faults.append(f"{place}, prompt: a document says it too: invent another name.")
    return faults


def _practice(rows, facts, found):
    """Each value stands once on its page and in none of its questions; the page tells whom it is about, and nobody else in this world bears that name."""
    taken, text, faults, seen = {fact.subject for fact in facts}, " ".join(document.text for document in found), [], {}
    for line, row in rows:
        place, name = f"practice.jsonl, line {line}", row["about"].removeprefix("the ")
        if name in taken or name[0].isupper() and name in text:
            faults.append(f"{place}, about: {name!r} is a name of the documents: invent another.")
        if row["facts"] and name.split()[-1].lower() not in f"{row['title']} {row['body']}".lower():
            faults.append(f"{place}, body: neither it nor the title names {name!r}: say whom it is about.")
        for fact in row["facts"]:
            if row["body"].count(fact["value"]) != 1:
                faults.append(f"{place}, value: {fact['value']!r} must stand in the body once: write it word for word.")
            faults += [f"{place}, questions: {question!r} holds its own answer: take it out." for question in fact["questions"] if metrics.contains(question, [fact["value"]])]
        faults += _twice(place, "body", row["body"], seen, line)
    return faults


def _twice(place, field, text, seen, line):
    text = metrics.normalise(text)
    if text in seen:
        return [f"{place}, {field}: the same words as line {seen[text]}: write it differently."]
    seen[text] = line
    return []
