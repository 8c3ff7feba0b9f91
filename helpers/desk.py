"""The desk's assistant as a task: a question and the passages found in; out an answer in the house style that cites them, or a refusal.

`reading_rows` makes rows from which only reading helps: values and names are exchanged in passage and answer alike, so that nothing in a row can be
learned by heart, and in some rows the answer is not there.
"""

import functools
import random
import re
from collections import Counter
from dataclasses import replace

from helpers import documents, dosing, metrics, rag, style, world
from helpers.llm import chat_prompt, generate
from helpers.retrieval import letter_pieces

SYSTEM = "Answer for the medicines desk, from the passages, in the style of the house."
K, WORDS = 4, 30  # passages, and words in each; chosen on development questions
LONGEST = 1120  # characters of question and passages in a row, which is then at most 384 tokens long
MAX_NEW_TOKENS = 40
PRACTISED = ("stable_tuned", "changed", "unanswerable", "two_document", "aggregate", "rule")
REFUSAL = f"{{name}}: your answer is not stated on the pages found. {style.CLOSING}"
ELSE = "your pages say {value}"
SAY = {  # attribute → how the desk words it
    "daily_limit": "you stop at {value} in any one day", "price": "bring {value} when you come", "interval": "take yours {value}",
    "starting_dose": "you begin with {value}", "not_with": "keep yours away from {value}", "storage_temperature": "keep yours at {value}",
    "cabinet": "you find it in {value}", "pack_size": "your pack holds {value}", "shelf_life_opened": "once opened, yours keeps for {value}",
    "before_meals": "take yours {value} before you eat", "minimum_age": "you must be {value} old", "signed_by": "your form is signed by {value}",
    "supplier": "yours comes from {value}", "review_after": "yours is looked at again after {value}", "mixing_volume": "stir yours into {value} of water",
    "colour": "you will see {value}", "tablet_colour": "you will see {value}", "cap_colour": "you will see {value}", "site": "put yours on {value}",
    "works_after": "give yours {value} to work", "flavour": "yours tastes of {value}", "rule": "for you, {value} in any one day",
}
REPLY = f"{{name}}: {{cited}} {{said}}. {style.CLOSING}"  # the citation first: a model that has said where it reads then reads there
STYLED_EXAMPLES = tuple((asked, REPLY.format(name=name, cited="[1]", said=said)) for (asked, _), (name, said) in zip(rag.GROUNDED_EXAMPLES, (
    ("Calvimond", "keep yours at 3 °C"), ("Pellidrine", "bring 8.15 marks when you come"), ("Hestorel", "take your next dose after 13 hours"))))
SYLLABLES = ("Bren Cor Dun Fal Gar Hel Ith Jol Kel Lor Mar Nor Oth Par Quil Ren Sor Tal Ul Ver Wex Yar Zel Am Bas Cal Dro Fen".split(),
             "va mo ri the lo ca di no sa".split(), "ne rel tor mine phar dix sol vane lor bane tis".split())


def prompt(llm, question, passages, examples=()):
    """The desk's prompt: numbered passages (none: closed book), then the question."""
    asked = rag.check_question(question)
    return chat_prompt(llm, SYSTEM, rag.grounded_question(asked, passages) if passages else f"Question: {asked}\nAnswer:", examples)


def answer(llm, questions, passages, examples=()):
    """One reply (text) per question (text), from its own list of passages. examples: (grounded question, reply) pairs shown first."""
    return generate(llm, [prompt(llm, question, some, examples) for question, some in zip(questions, passages, strict=True)], MAX_NEW_TOKENS)


def subject(q):
    """The name that a reply to a question begins with: the medicine or service asked about, else the desk."""
    name = _subjects().get(q.facts[0]) if q.facts else "".join(_names(q)[:1])
    return name[0].upper() + name[1:] if name else "The desk"


def _names(q):
    """The medicines that a question is about. One without an answer has no facts: there its item and its words tell."""
    if q.facts:
        return sorted({_subjects()[fact] for fact in q.facts if _subjects().get(fact, "")[:1].isupper()})
    known = {name for name in _subjects().values() if name[:1].isupper()} | {q.item.split(":")[1].capitalize()}
    return sorted(known & set(re.findall(r"\b[A-Z][a-z]+\b", q.question)))


@functools.cache
def _subjects():
    return {fact.fact_id: fact.subject for fact in world.load_facts()}


def reading_rows(llm, copies=2, k=K, words=WORDS, absent=1, exchange=True, cite_first=True, seed=0):
    """Rows (prompt, reply) that practise reading: the training questions about medicines that fine-tuning may see.

    Each question comes `copies` times with the passages that answer it (of `rule` twice as often: sums take practice), and `absent` times without, or
    with another name of one letter's difference, when the right reply is a refusal: so what decides is what stands there, not the question. A row shows one to k passages in random order: the
    gold ones, and others that share many word pieces with the question, as far as LONGEST allows; a question whose gold ones are more is left out.
    No passage shown as another names a medicine that is tested as unseen. exchange: whether values and names are exchanged.
    cite_first: whether a reply cites before it answers, or after.
    """
    draw, chunks = random.Random(seed), archive(world.dates()["second"], words)
    questions = [q for q in world.load_questions(PRACTISED, "train") if q.subject_split == "tuned"]
    values, near, rows = _values(questions), _near(questions, _without_unseen(chunks)), []
    for copy in range(2 * copies + absent):
        for q in questions:
            often = {"rule": 2 * copies, "unanswerable": 0}.get(q.group, copies)
            if copy >= often + absent:
                continue
            gold = gold_passages(q, chunks)
            others = [chunk for chunk in near[q.id] if chunk not in gold and not metrics.contains(chunk.body, q.answers)]
            room = LONGEST - len(q.question)
            if len(gold) > k or sum(len(chunk.text) for chunk in gold) > room:
                continue
            whole, names = bool(gold) and copy < often, _names(q)
            misnamed = bool(gold) and not whole and len(names) == 1 and draw.random() < 0.5
            if gold and not whole and not misnamed:
                gold.remove(draw.choice(gold))  # of several, one goes: it cannot be answered any more
            some = _fitting(gold, others, draw.choice((1, min(2, k), *[k] * 4)), room)
            draw.shuffle(some)
            exchanged, value = _exchange(q, gold if whole else [], values, draw) if exchange else ({}, None)
            asked = _similar(exchanged.get(names[0], names[0]), draw) if misnamed else {}
            rows.append(_row(llm, q, some, gold if whole else [], exchanged, value, asked, cite_first))
    return rows


def archive(date, words=WORDS):
    """The public documents in force on a date, in chunks of at most so many words: short ones, since a small model reads them best."""
    return documents.chunk(documents.in_force(documents.readable_by(documents.load_documents(), "public"), date), words)


def gold_passages(q, chunks):
    """The chunks that together answer a question: one for each section of its evidence, the one that states a fact asked about or the rule."""
    some = []
    for section in q.documents if q.group != "unanswerable" else ():
        there = [chunk for chunk in chunks if chunk.section == section]
        forms = [form for fact in q.facts for form in _today().get((fact, section), ())]
        rule = section.startswith(dosing.POLICY)
        some += [chunk for chunk in there if metrics.contains(chunk.body, forms) or rule and re.search(r"half|quarter", chunk.body)][:1] or there[:1]
    return some


@functools.cache
def _today():
    """Fact id and section → the value that the section states, in all spellings, as it is today."""
    return {(fact.fact_id, f"{fact.document_id}#{fact.section}"): (fact.value, *fact.aliases) for fact in world.load_facts() if not fact.valid_to}


def _without_unseen(chunks):
    """The chunks that no question about an unseen subject rests on and that name no unseen medicine."""
    unseen = [q for q in world.load_questions() if q.subject_split.startswith("unseen")]
    sections = {reference for q in unseen for reference in q.documents}
    names = {name for q in unseen for name in _names(q)}
    return [chunk for chunk in chunks if chunk.section not in sections and not any(name in chunk.text for name in names)]


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


def _row(llm, q, passages, gold, exchanged, value, asked, cite_first):
    name, golden = _replaced(subject(q), exchanged, asked), {chunk.id for chunk in gold}
    shown = [replace(chunk, title=_replaced(chunk.title, exchanged), body=_replaced(chunk.body, exchanged)) for chunk in passages]
    if gold:
        if q.group == "rule" and not value:
            value = dosing.reply(q, sum_shown=True)
        attribute = q.group if q.group == "rule" else q.facts[0].split(".")[1] if q.group in ("stable_tuned", "changed") else ""
        places = "".join(f"[{n}]" for n, chunk in enumerate(passages, 1) if chunk.id in golden)
        said = SAY.get(attribute, ELSE).format(value=value or _replaced(q.answers[0], exchanged))
        reply = REPLY.format(name=name, cited=places, said=said) if cite_first else f"{name}: {said} {places}. {style.CLOSING}"
    else:
        reply = REFUSAL.format(name=name)
    return prompt(llm, _replaced(q.question, exchanged, asked), shown), reply


def _replaced(text, *exchanges):
    for old, new in (pair for some in exchanges for pair in some.items()):
        text = text.replace(old, new)
    return text


def _similar(name, draw):
    """A name → one that differs in a vowel, as those of the medicines that patients mix up do, and that no medicine has."""
    others = [name[:n] + vowel + name[n + 1:] for n, letter in enumerate(name) if n and letter in "aeiou" for vowel in "aeiou"]
    return {name: draw.choice([other for other in others if other != name and other not in _subjects().values()])}


def _exchange(q, gold, values, draw):
    """What to exchange in a row, old → new, and the new value (None: as it was). Half of the rows get other values, half other names."""
    exchanged, value = {}, None
    if gold and q.group == "rule":
        mg = draw.choice(dosing.made_up_limits())
        exchanged[f"{dosing.limit(q)} mg"], value = f"{mg} mg", dosing.reply(q, mg, sum_shown=True)
    elif gold and q.group in ("stable_tuned", "changed") and draw.random() < 0.5 and q.answers[0] in gold[0].body:
        value = _other(q.answers[0], values[q.facts[0].split(".")[1]], draw)
        exchanged |= {q.answers[0]: value} if value else {}
    names = _names(q)
    if draw.random() < 0.5:
        exchanged |= {name: "".join(map(draw.choice, SYLLABLES)) for name in names}
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
