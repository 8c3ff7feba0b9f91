"""Retrieval-augmented generation: the grounded prompt, the answer with its citations, and where the time went."""

import re
import time
from dataclasses import dataclass

from helpers import CourseError
from helpers.documents import without_control_characters
from helpers.llm import chat_prompt, generate, generate_timed

MAX_QUESTION_WORDS = 200
MAX_NEW_TOKENS = 24
NOTHING_FOUND = "I found no passage about this."
CLOSED_BOOK = "Answer the question with a few words."
GROUNDED = "Answer the question from the passages with a few words and cite the passage."


@dataclass(frozen=True)
class Answer:
    """A reply, the passages it was shown, the ids of the chunks it cites, and the seconds each stage took."""

    question: str
    text: str
    passages: tuple
    citations: tuple
    seconds: dict


def check_question(question):
    """The question on one line, without control characters. Raises CourseError for an empty one or one of more than 200 words."""
    question = " ".join(without_control_characters(question).split())
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
    return f"{_numbered(passage.text for passage in passages)}\n\nQuestion: {question}\nAnswer:"


def _numbered(texts):
    return "\n".join(f"[{n}] {text}" for n, text in enumerate(texts, 1))


# Worked examples about three more invented medicines, which no document and no question of the course names. The right
# passage comes first, as it mostly does in a search result. Chosen on development questions.
_COLD = "Calvimond, Where it lives: Calvimond is kept at 3 °C behind the counter, away from the window."
_PRICE = "Pellidrine price list: One jar of Pellidrine costs 8.15 marks at the hatch."
_GAP = "Hestorel, In the day: Leave 13 hours between two doses of Hestorel, and drink plenty."
_LABEL = "Pellidrine, The label: Pellidrine is a milky liquid and must be shaken for 20 seconds."
_AGE = "Calvimond, Who may have it: Nobody under 16 is given Calvimond without a second signature."
_EXAMPLES = (  # question, passages (the right one first), answer
    ("How cold should Calvimond be?", (_COLD, _PRICE), "3 °C"),
    ("What will I be asked to pay for my Pellidrine?", (_PRICE, _LABEL), "8.15 marks"),
    ("When is my next Hestorel due after this one?", (_GAP, _AGE), "after 13 hours"),
)


def worked_examples(turn=0):
    """The three worked examples as (question, reply) pairs, closed book and grounded. turn: how many of them move from the front to the back."""
    turn %= len(_EXAMPLES)
    some = _EXAMPLES[turn:] + _EXAMPLES[:turn]
    grounded = tuple((f"{_numbered(passages)}\n\nQuestion: {question}\nAnswer:", f"{answer} [1]") for question, passages, answer in some)
    return tuple((question, answer) for question, _, answer in some), grounded


CLOSED_BOOK_EXAMPLES, GROUNDED_EXAMPLES = worked_examples()


def cited(reply, passages):
    """The chunk ids that a reply cites as [1], [2] …; a number without a passage is left out."""
    numbers = dict.fromkeys(int(number) for number in re.findall(r"\[(\d+)\]", reply))
    return tuple(passages[n - 1].id for n in numbers if 1 <= n <= len(passages))


def ask(llm, question, index, k=3, examples=()):
    """Answer one question from an index: an Answer with the seconds of searching (embedding included), reading and writing.

    Where the search finds nothing, the answer says so and the model is not asked.
    """
    question = check_question(question)
    start = time.perf_counter()
    passages = tuple(hit.chunk for hit in index.search([question], k)[0])
    searched = time.perf_counter() - start
    if not passages:  # the model is not asked at all: without a passage it would make something up
        return Answer(question, NOTHING_FOUND, (), (), {"search": searched, "read": 0.0, "write": 0.0})
    text, reading, writing = generate_timed(llm, grounded_prompt(llm, question, passages, examples), MAX_NEW_TOKENS)
    return Answer(question, text, passages, cited(text, passages), {"search": searched, "read": reading, "write": writing})


def answer_closed_book(llm, questions, examples=(), max_new_tokens=MAX_NEW_TOKENS):
    """One reply (text) per question, from the weights alone."""
    return generate(llm, [closed_book_prompt(llm, question, examples) for question in questions], max_new_tokens)


def answer_grounded(llm, questions, passages, examples=(), max_new_tokens=MAX_NEW_TOKENS):
    """One reply (text) per question, from its own list of passages."""
    prompts = [grounded_prompt(llm, question, some, examples) for question, some in zip(questions, passages, strict=True)]
    return generate(llm, prompts, max_new_tokens)
