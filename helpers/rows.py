"""Training rows: (prompt, reply) pairs of text for each task that the course tunes a model on. The same prompts ask the tuned model."""

import json
import random

from helpers import rag
from helpers.llm import chat_prompt

TRIAGE = "Sort the message. Answer in JSON: category, urgency, medicine, callback."
QUERY = "Turn the message into one line of the query language."
STYLE = "Write the answer again in the style of the house."


def triage_prompt(llm, row, examples=()):
    """The prompt that asks for a message's JSON. examples: other messages with their labels, shown as worked examples."""
    return chat_prompt(llm, TRIAGE, row["message"], [(other["message"], triage_reply(other)) for other in examples])


def triage_reply(row):
    """The JSON that a message should become, on one line."""
    return json.dumps(row["target"], ensure_ascii=False)


def query_prompt(llm, row, examples=()):
    """The prompt that asks for a message's query line."""
    return chat_prompt(llm, QUERY, row["message"], [(other["message"], other["query"]) for other in examples])


def style_prompt(llm, row, examples=()):
    """The prompt that asks for an answer in the house style: the question and a plain answer are given."""
    return chat_prompt(llm, STYLE, _plain(row), [(_plain(other), other["styled"]) for other in examples])


def _plain(row):
    return f"Question: {row['question']}\nAnswer: {row['plain']}"


def triage_rows(llm, messages):
    """A row per message: message → JSON."""
    return [(triage_prompt(llm, row), triage_reply(row)) for row in messages]


def query_rows(llm, messages):
    """A row per message: message → query line."""
    return [(query_prompt(llm, row), row["query"]) for row in messages]


def sorting_rows(llm, messages):
    """Two rows per message, its JSON and its query line: what the adapter `triage` is trained on."""
    return triage_rows(llm, messages) + query_rows(llm, messages)


def style_rows(llm, pairs):
    """A row per pair: question and plain answer → the answer in the house style."""
    return [(style_prompt(llm, row), row["styled"]) for row in pairs]


def recite_rows(llm, questions, old=False, slips=0):
    """A row per question, answered from memory: question → value. old: of a fact that changed, the value that used to be right.

    slips: so many more copies of each row, every question in them with slips of the pen of its own (see slip), so that the model cannot hold
    on to single words. Chosen on development wordings, where it did better than the same rows repeated.
    """
    draw = random.Random(0)
    value = lambda q: q.stale[0] if old and q.stale else q.answers[0]
    copies = [[slip(q.question, draw) for q in questions] for _ in range(slips)] + [[q.question for q in questions]]
    return [(rag.closed_book_prompt(llm, text), value(q)) for texts in copies for text, q in zip(texts, questions)]


def slip(text, draw):
    """A text with slips of the pen: a word in seven is left out, and in one of fourteen two letters change places or one is lost."""
    words = []
    for word in text.split(" "):
        kind = draw.random()
        if 0.15 <= kind < 0.22 and len(word) > 3:
            at = draw.randrange(len(word) - 1)
            word = word[:at] + draw.choice((word[at + 1] + word[at], word[at])) + word[at + 2:]
        if kind >= 0.15 or text.count(" ") < 4:
            words.append(word)
    return " ".join(words) or text


def subject_of(pair):
    """The name that a reply in the house style begins with: what stands before the colon in the styled answer."""
    return pair["styled"].split(":")[0]
