"""Rows that practise reading, for the desk's assistant: from these only reading helps.

Values and names are exchanged in passage and answer alike, so that nothing in a row can be learned by heart, and in some rows the answer
is not there.
"""

import random
import re
from collections import Counter
from dataclasses import replace

from helpers import dosing, metrics, recipes, tuning, world
from helpers.desk import K, REFUSAL, REPLY, WORDS, archive, gold_passages, names, prompt, subject, subjects
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
SYLLABLES = ("Bren Cor Dun Fal Gar Hel Ith Jol Kel Lor Mar Nor Oth Par Quil Ren Sor Tal Ul Ver Wex Yar Zel Am Bas Cal Dro Fen".split(),
             "va mo ri the lo ca di no sa".split(), "ne rel tor mine phar dix sol vane lor bane tis".split())


def assistant(llm):
    """The shipped adapter `desk`, trained on reading_rows (see tuning.ready)."""
    return tuning.ready(llm, "desk", reading_rows(llm), recipes.DESK)


def reading_rows(llm, copies=2, k=K, words=WORDS, absent=1, exchange=True, seed=0):
    """Rows (prompt, reply) that practise reading: the training questions about medicines that fine-tuning may see.

    Each question comes `copies` times with the passages that answer it (of `rule` twice as often: sums take practice), and `absent` times without,
    when the right reply is a refusal: so what decides is what stands there, not the question. A row shows one to k passages in random order: the
    gold ones, and others that share many word pieces with the question, as far as LONGEST allows; a question whose gold ones are more is left out.
    No passage shown as another names a medicine that is tested as unseen. exchange: whether values and names are exchanged.

    Two kinds of names that nearly agree are told apart by what stands on the pages. A slip of the pen: in some rows the question misspells the
    name, the pages have it right, and the answer is given. A namesake: in some of the rows without an answer the page that holds the value is
    that of a medicine of one letter's difference, and pages of the one asked about, without the value, lie beside it.
    """
    draw, chunks = random.Random(seed), archive(world.dates()["second"], words)
    questions = [q for q in world.load_questions(PRACTISED, "train") if q.subject_split == "tuned"]
    values, near, rows = _values(questions), _near(questions, _without_unseen(chunks)), []
    for copy in range(2 * copies + absent):
        for q in questions:
            often = {"rule": 2 * copies, "unanswerable": 0}.get(q.group, copies)
            if copy >= often + absent:
                continue
            gold, named = gold_passages(q, chunks), names(q)
            others = [chunk for chunk in near[q.id] if chunk not in gold and not metrics.contains(chunk.body, q.answers)]
            room = LONGEST - len(q.question)
            if len(gold) > k or sum(len(chunk.text) for chunk in gold) > room:
                continue
            whole = bool(gold) and copy < often
            own = [chunk for chunk in others if named and named[0] in chunk.text]
            namesake = bool(gold) and not whole and len(named) == 1 and bool(own) and draw.random() < 0.5
            if namesake:
                others = own + [chunk for chunk in others if chunk not in own]
            elif gold and not whole:
                gold.remove(draw.choice(gold))  # of several, one goes: it cannot be answered any more
            some = _fitting(gold, others, k if namesake else draw.choice((1, min(2, k), *[k] * 4)), room)
            draw.shuffle(some)
            exchanged, value = _exchange(q, gold if whole else [], values, draw) if exchange else ({}, None)
            name = exchanged.get(named[0], named[0]) if named else None
            other = _similar(name, draw) if namesake or whole and len(named) == 1 and draw.random() < 0.15 else {}
            rows.append(_row(llm, q, some, gold, whole, exchanged, value, other))
    return rows


def _without_unseen(chunks):
    """The chunks that no question about an unseen subject rests on and that name no unseen medicine."""
    unseen = [q for q in world.load_questions() if q.subject_split.startswith("unseen")]
    sections = {reference for q in unseen for reference in q.documents}
    unnamed = {name for q in unseen for name in names(q)}
    return [chunk for chunk in chunks if chunk.section not in sections and not any(name in chunk.text for name in unnamed)]


def _near(questions, chunks, depth=8):
    """Question id → the chunks that share most with it: every common run of four letters counts, rare ones more. Whole numbers, so that every
    machine ranks alike."""
    pieces = [set(letter_pieces(chunk.text)) for chunk in chunks]
    frequency = Counter(piece for some in pieces for piece in some)
    near = {}
    for q in questions:
        asked = set(letter_pieces(q.question))
        score = [sum(len(chunks) // frequency[piece] for piece in asked & some) for some in pieces]
        near[q.id] = [chunks[n] for n in sorted(range(len(chunks)), key=lambda n: (-score[n], n))[:depth]]
    return near


def _fitting(gold, others, most, room):
    """The gold passages, and of the others the first ones that fit into so many characters, `most` passages in all."""
    some = list(gold)
    for chunk in others:
        if len(some) < most and sum(len(one.text) for one in (*some, chunk)) <= room:
            some.append(chunk)
    return some


def asked_for(q):
    """What the desk calls the thing that a question asks for: "daily limit", "price" …; "answer" where it has no word of its own."""
    if q.group in ("two_document", "aggregate"):
        return "answer"
    attribute = q.group if q.group == "rule" else q.facts[0].split(".")[1] if q.facts else q.item.split(":")[-1]
    return ASKED.get(attribute, "answer")


def _row(llm, q, passages, gold, whole, exchanged, value, other):
    """other: the name as the question misspells it (whole: the answer is there), or that of a namesake, whose pages are all but the gold ones."""
    golden = {chunk.id for chunk in gold}
    renamed = lambda chunk: {} if whole or chunk.id in golden else other
    shown = [replace(chunk, title=_replaced(chunk.title, exchanged, renamed(chunk)), body=_replaced(chunk.body, exchanged, renamed(chunk))) for chunk in passages]
    question, reply = prompt(llm, _replaced(q.question, exchanged, other), shown), {"asked": asked_for(q)}
    if whole:
        value = value or (dosing.reply(q, sum_shown=True) if q.group == "rule" else _replaced(q.answers[0], exchanged))
        places = "".join(f"[{n}]" for n, chunk in enumerate(passages, 1) if chunk.id in golden)
        return question, REPLY.format(**reply, name=_replaced(subject(q), exchanged), value=value, cited=places)
    return question, REFUSAL.format(**reply, name=_replaced(subject(q), exchanged, other))


def _replaced(text, *exchanges):
    for old, new in (pair for some in exchanges for pair in some.items()):
        text = text.replace(old, new)
    return text


def _similar(name, draw):
    """A name → one that differs in a vowel, as those of the medicines that patients mix up do, and that no medicine has."""
    others = [name[:n] + vowel + name[n + 1:] for n, letter in enumerate(name) if n and letter in "aeiou" for vowel in "aeiou"]
    return {name: draw.choice([other for other in others if other != name and other not in subjects().values()])}


def _exchange(q, gold, values, draw):
    """What to exchange in a row, old → new, and the new value (None: as it was). Half of the rows get other values, half other names."""
    exchanged, value = {}, None
    if gold and q.group == "rule":
        mg = draw.choice(dosing.made_up_limits())
        exchanged[f"{dosing.limit(q)} mg"], value = f"{mg} mg", dosing.reply(q, mg, sum_shown=True)
    elif gold and q.group in ("stable_tuned", "changed") and draw.random() < 0.5 and q.answers[0] in gold[0].body:
        value = _other(q.answers[0], values[q.facts[0].split(".")[1]], draw)
        exchanged |= {q.answers[0]: value} if value else {}
    if draw.random() < 0.5:
        exchanged |= {name: "".join(map(draw.choice, SYLLABLES)) for name in names(q)}
    return exchanged, value


def _other(value, known, draw):
    """Another value of the same form: one that another subject has, or the same with another number."""
    others = [other for other in known if other != value]
    number = re.search(r"\d+(\.\d+)?", value)
    if not number or (others and draw.random() < 0.5):
        return draw.choice(others) if others else None
    most = max(30, 2 * int(float(number[0])))
    fresh = f"{draw.uniform(1, most):.2f}" if "." in number[0] else str(draw.randint(2, most))
    return value[:number.start()] + fresh + value[number.end():]


def _values(questions):
    """Attribute → the values that these questions' facts have, sorted."""
    known = {}
    for q in questions:
        if q.group in ("stable_tuned", "changed"):
            known.setdefault(q.facts[0].split(".")[1], set()).add(q.answers[0])
    return {attribute: sorted(some) for attribute, some in known.items()}
