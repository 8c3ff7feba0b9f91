"""Rows to train on: the right value behind each prompt, and slips that change the question only."""

import random

from helpers import llm, rows, world


def questions():
    return [q for q in world.load_questions(("stable_tuned", "changed"), split="train") if q.subject_split == "tuned"][-40:]


def test_a_row_to_recite_holds_the_value_that_is_asked_for():
    model, some = llm.load_model(), questions()
    plain, old = rows.recite_rows(model, some), rows.recite_rows(model, some, old=True)
    assert [reply for _, reply in plain] == [q.answers[0] for q in some]
    assert [reply for _, reply in old] == [(q.stale or q.answers)[0] for q in some] != [reply for _, reply in plain]
    assert all(q.question in prompt for q, (prompt, _) in zip(some, plain))


def test_slips_add_copies_that_differ_in_the_question_only():
    model, some = llm.load_model(), questions()
    plain, slipped = rows.recite_rows(model, some), rows.recite_rows(model, some, slips=2)
    assert slipped[-len(some):] == plain and len(slipped) == 3 * len(some) and slipped == rows.recite_rows(model, some, slips=2)
    copies = slipped[:len(some)], slipped[len(some):2 * len(some)]
    assert all([reply for _, reply in copy] == [reply for _, reply in plain] for copy in copies) and copies[0] != copies[1]
    assert sum(a != b for a, b in zip(copies[0], plain)) > len(some) / 2


def test_a_slip_leaves_something_to_read():
    draw = random.Random(0)
    for text in ("Brenvato?", "Price of Brenvato, please", "How long does an opened bottle of Corvathene keep on the shelf?"):
        told = [rows.slip(text, draw) for _ in range(300)]
        assert all(told) and text in told and len(set(told)) > 2
        assert all(len(one) >= len(text) / 4 for one in told)
