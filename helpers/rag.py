"""Retrieval-augmented generation: the grounded prompt, the answer with its citations, and where the time went."""

import re
import time
from dataclasses import dataclass

from helpers import CourseError
from helpers.llm import chat_prompt, generate, generate_timed

MAX_QUESTION_WORDS = 200
MAX_NEW_TOKENS = 32
CLOSED_BOOK = "You answer questions for a medicines desk. Answer in one short sentence."
GROUNDED = (
    "You answer questions for a medicines desk. Use only the numbered passages. "
    "Answer in one short sentence and end it with the number of the passage you used, such as [1]."
)


@dataclass(frozen=True)
class Answer:
    """A reply, the passages it was shown, the ids of the chunks it cites, and the seconds each stage took."""

    question: str
    text: str
    passages: tuple
    citations: tuple
    seconds: dict


def check_question(question):
    """The question without surrounding space. Raises CourseError for an empty one or one of more than 200 words."""
    question = question.strip()
    if not question:
        raise CourseError("The question is empty: write what you want to know.")
    if len(question.split()) > MAX_QUESTION_WORDS:
        raise CourseError(
            f"The question has {len(question.split()):,} words and the desk reads at most {MAX_QUESTION_WORDS}: shorten it to what you want to know."
        )
    return question


def closed_book_prompt(llm, question, examples=()):
    """The prompt without any passage. `examples`: (question, reply) pairs shown first."""
    return chat_prompt(llm, CLOSED_BOOK, check_question(question), examples)


def grounded_prompt(llm, question, passages, examples=()):
    """The prompt with numbered passages (chunks). `examples`: (grounded question, reply) pairs shown first."""
    return chat_prompt(llm, GROUNDED, grounded_question(check_question(question), passages), examples)


def grounded_question(question, passages):
    """The user's turn: passages numbered from 1, then the question."""
    numbered = "\n".join(f"[{n}] {passage.text}" for n, passage in enumerate(passages, 1))
    return f"{numbered}\n\nQuestion: {question}"


def cited(reply, passages):
    """The chunk ids that a reply cites as [1], [2] …; a number without a passage is left out."""
    numbers = dict.fromkeys(int(number) for number in re.findall(r"\[(\d+)\]", reply))
    return tuple(passages[n - 1].id for n in numbers if 1 <= n <= len(passages))


def ask(llm, question, index, k=3, examples=()):
    """Answer one question from an index: an Answer with the seconds of searching (embedding included), reading and writing."""
    question = check_question(question)
    start = time.perf_counter()
    passages = tuple(hit.chunk for hit in index.search([question], k)[0])
    searched = time.perf_counter() - start
    text, reading, writing = generate_timed(llm, grounded_prompt(llm, question, passages, examples), MAX_NEW_TOKENS)
    return Answer(question, text, passages, cited(text, passages), {"search": searched, "read": reading, "write": writing})


def answer_closed_book(llm, questions, examples=()):
    """One reply (text) per question, from the weights alone."""
    return generate(llm, [closed_book_prompt(llm, question, examples) for question in questions], MAX_NEW_TOKENS)


def answer_grounded(llm, questions, passages, examples=()):
    """One reply (text) per question, from its own list of passages."""
    prompts = [grounded_prompt(llm, question, some, examples) for question, some in zip(questions, passages, strict=True)]
    return generate(llm, prompts, MAX_NEW_TOKENS)
