"""Rows to train on: the right value behind each prompt, and copies that change the question only."""

import random

from helpers import llm, rows, world


def questions():
    return rows.taught()[-40:]


def test_what_is_taught_is_training_wordings_about_tuned_medicines():
    some = rows.taught()
    assert {q.split for q in some} == {"train"} and {q.subject_split for q in some} == {"tuned"} and {q.group for q in some} == {"stable_tuned", "changed"}


def test_a_row_to_recite_holds_the_value_that_is_asked_for():
    model, some = llm.load_model(), questions()
    plain, old = rows.recite_rows(model, some), rows.recite_rows(model, some, old=True)
    assert [reply for _, reply in plain] == [q.answers[0] for q in some]
    assert [reply for _, reply in old] == [(q.stale or q.answers)[0] for q in some] != [reply for _, reply in plain]
    assert all(q.question in prompt for q, (prompt, _) in zip(some, plain))


def test_copies_ask_for_the_same_value_in_other_words():
    model, some = llm.load_model(), questions()
    plain, more = rows.recite_rows(model, some), rows.recite_rows(model, some, copies=2)
    assert more[-len(some):] == plain and len(more) == 3 * len(some) and more == rows.recite_rows(model, some, copies=2)
    copies = more[:len(some)], more[len(some):2 * len(some)]
    assert all([reply for _, reply in copy] == [reply for _, reply in plain] for copy in copies) and copies[0] != copies[1]
    assert sum(a != b for a, b in zip(copies[0], plain)) > len(some) / 2


def test_borrowed_words_never_ask_about_the_other_medicine():
    model, some = llm.load_model(), rows.taught()
    subject = {fact.fact_id: fact.subject for fact in world.load_facts()}
    names = {subject[q.facts[0]] for q in some if subject[q.facts[0]][0].isupper()}
    more, borrowed = rows.recite_rows(model, some, copies=1)[:len(some)], 0
    for q, (prompt, _) in zip(some, more):
        strangers = {name for name in names - {subject[q.facts[0]]} if name in prompt and name not in q.question}
        assert not strangers, (q.question, strangers)
        borrowed += len(set(prompt.split()) & set(q.question.split())) < 0.4 * len(q.question.split())
    assert borrowed > len(some) / 5  # about half of them, and a few share most of their words by chance


def test_a_slip_leaves_something_to_read():
    draw = random.Random(0)
    for text in ("Brenvato?", "Price of Brenvato, please", "How long does an opened bottle of Corvathene keep on the shelf?"):
        told = [rows.slip(text, draw) for _ in range(300)]
        assert all(told) and text in told and len(set(told)) > 2
        assert all(len(one) >= len(text) / 4 for one in told)
