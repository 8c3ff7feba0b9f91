"""Prompts, citations and bad questions."""

import pytest

from helpers import CourseError, documents, llm, metrics, rag, retrieval, world

PASSAGES = [documents.Chunk(f"c{i}", f"s{i}", f"Title {i}", f"Body {i}.") for i in (1, 2, 3)]


@pytest.mark.parametrize("reply, expected", [
    ("35 mg [2]", ("c2",)), ("[1] and [3], again [1]", ("c1", "c3")), ("35 mg [4]", ()), ("35 mg", ()), ("[0] [ 1 ]", ()),
])
def test_citations_are_read_by_number(reply, expected):
    assert rag.cited(reply, PASSAGES) == expected


def test_a_citation_is_no_part_of_the_answer():
    assert metrics.contains("It is given [35] mg", ["35 mg"]) == 0


@pytest.mark.parametrize("question, said", [("", "question is empty"), ("  \n", "question is empty"), ("why " * 10_000, "has 10,000 words")])
def test_bad_questions_are_one_sentence(question, said):
    with pytest.raises(CourseError, match=said):
        rag.check_question(question)


@pytest.fixture(scope="module")
def model():
    return llm.load_model()


def test_the_grounded_prompt_holds_passages_then_question(model):
    prompt = rag.grounded_prompt(model, "How much?", PASSAGES)
    assert prompt.index("[1] Title 1: Body 1.") < prompt.index("[3] Title 3") < prompt.index("Question: How much?")


def test_ask_returns_passages_citations_and_stage_times(model):
    chunks = documents.chunk(documents.in_force(documents.load_documents(), world.dates()["second"]))
    answer = rag.ask(model, "How many capsules come in a carton of Sulmirex?", retrieval.DenseIndex(chunks), k=2)
    assert len(answer.passages) == 2 and answer.text and set(answer.citations) <= {chunk.id for chunk in answer.passages}
    assert set(answer.seconds) == {"search", "read", "write"} and all(seconds > 0 for seconds in answer.seconds.values())
    with pytest.raises(CourseError, match="question is empty"):
        rag.ask(model, " ", retrieval.DenseIndex(chunks[:3]))


def test_each_question_needs_its_passages(model):
    with pytest.raises(ValueError):
        rag.answer_grounded(model, ["one", "two"], [PASSAGES])


def test_where_nothing_is_found_the_model_is_not_asked(model):
    chunks = documents.chunk(documents.load_documents())[:20]
    answer = rag.ask(model, "zzzz qqqq", retrieval.KeywordIndex(chunks))
    assert answer.text == rag.NOTHING_FOUND and answer.passages == () and answer.citations == () and answer.seconds["read"] == 0


def test_control_characters_and_markup_in_a_question_do_no_harm(model):
    assert rag.check_question("How\x00 much\u202e is\nit?") == "How much is it?"
    chunks = documents.chunk(documents.load_documents())[:20]
    answer = rag.ask(model, "<b>Price</b> of Ambrenil?\x07 <script>alert(1)</script>", retrieval.KeywordIndex(chunks), k=1)
    assert answer.passages and "\x07" not in answer.question


def test_worked_examples_turn_and_stay_the_same_three():
    closed, grounded = rag.worked_examples()
    assert (closed, grounded) == (rag.CLOSED_BOOK_EXAMPLES, rag.GROUNDED_EXAMPLES) == rag.worked_examples(3)
    for turn in (1, 2):
        other_closed, other_grounded = rag.worked_examples(turn)
        assert set(other_closed) == set(closed) and other_closed != closed
        assert [answer for _, answer in other_closed] == [reply.removesuffix(" [1]") for _, reply in other_grounded]
