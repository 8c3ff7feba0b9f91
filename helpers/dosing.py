"""The desk's rule on smaller limits as a task: a medicine's limit in force and a patient in, milligrams out. The rule is policy-smaller-limits."""

import functools
import random
import re

from helpers import documents, world
from helpers.llm import chat_prompt

POLICY = "policy-smaller-limits"
SYSTEM = "Work out how much this patient may have in a day."


@functools.cache
def _today():
    """Limits in mg by fact id, as they stand today, and the sentences of the documents in force."""
    limits = {fact.fact_id: int(fact.value.split()[0]) for fact in world.load_facts() if fact.attribute == "daily_limit" and not fact.valid_to}
    public = documents.readable_by(documents.load_documents(), "public")
    return limits, documents.chunk(documents.in_force(public, world.dates()["second"]), words=1)


def limit(q):
    """The daily limit in force, in mg, of the medicine that a question of the group `rule` is about."""
    return _today()[0][q.facts[0]]


def made_up_limits():
    """Limits in mg, from 8 to 800 and divisible by 4, none of which any medicine has today."""
    return sorted(set(range(8, 804, 4)) - set(_today()[0].values()))


def share(q):
    """What the rule leaves of the limit for the patient asked about: "half" or "three_quarters"."""
    return "half" if f"{POLICY}#age" in q.documents else "three_quarters"


def passage(q):
    """The sentence of the medicine's page that states the limit, under its title."""
    return next(piece.text for piece in _today()[1] if piece.section == q.documents[0] and re.search(rf"\b{limit(q)} mg\b", piece.body))


def reply(q, mg=None, sum_shown=False):
    """The right answer. mg: for this limit in place of the true one. sum_shown: as "half of 140 mg is 70 mg"."""
    mg = mg or limit(q)
    answer = f"{mg // 2 if share(q) == 'half' else mg * 3 // 4} mg"
    return f"{share(q).replace('_', ' ')} of {mg} mg is {answer}" if sum_shown else answer


def prompt(llm, q, text=None, policy="", examples=(), sum_shown=False):
    """The prompt: the policy if given, the passage (text in place of the true one), the question. examples: other questions, answered."""
    user = lambda q, text=None: f"{policy}\n\n" * bool(policy) + f"{text or passage(q)}\n\nQuestion: {q.question}"
    return chat_prompt(llm, SYSTEM, user(q, text), [(user(other), reply(other, sum_shown=sum_shown)) for other in examples])


def rule_rows(llm, questions, passes, sum_shown=False):
    """Rows to train on: each question so many times, every time with a new random limit that is none in force, so that no answer can be learned by heart."""
    draw, rows = random.Random(0), []
    for q in list(questions) * passes:
        mg = draw.choice(made_up_limits())
        text = re.sub(rf"\b{limit(q)} mg\b", f"{mg} mg", passage(q))
        rows.append((prompt(llm, q, text), reply(q, mg, sum_shown)))
    return rows
