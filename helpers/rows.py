"""Training rows: (prompt, reply) pairs of text for each task that the course tunes a model on. The same prompts ask the tuned model."""

import json
import random
from collections import defaultdict

from helpers import rag, world
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


def taught():
    """The training questions, all wordings, about the medicines that fine-tuning may see: what the adapter `recite` is trained on."""
    return [q for q in world.load_questions(("stable_tuned", "changed"), split="train") if q.subject_split == "tuned"]


def recite_rows(llm, questions, old=False, copies=0):
    """A row per question, answered from memory: question → value. old: of a fact that changed, the value that used to be right.

    copies: so many more rows of each question, in other words every time, so that the model cannot hold on to single ones: half of them in the
    words of a question about the same attribute of another subject, the names exchanged, and all with slips of the pen (see slip). Chosen on
    development wordings: the same rows repeated did worse, and so did slips alone.
    """
    draw, subject = random.Random(0), {fact.fact_id: fact.subject for fact in world.load_facts()}
    lenders = defaultdict(list)  # attribute → (subject, question) of all questions that spell it out
    for q in questions:
        if subject[q.facts[0]] in q.question:
            lenders[_attribute(q)].append((subject[q.facts[0]], q.question))

    def reworded(q):
        name = subject[q.facts[0]]
        others = [pair for pair in lenders[_attribute(q)] if pair[0] != name]
        text = q.question
        if others and name[0].isupper() and draw.random() < 0.5:
            other, text = draw.choice(others)
            text = text.replace(other, name)
        return slip(text, draw)

    texts = [reworded(q) for _ in range(copies) for q in questions] + [q.question for q in questions]
    return [(rag.closed_book_prompt(llm, text), (q.stale if old and q.stale else q.answers)[0]) for text, q in zip(texts, questions * (copies + 1))]


def _attribute(q):
    return q.facts[0].split(".")[1]


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
