"""The rule on smaller limits: what it leaves agrees with the data, and the rows hold it with numbers that do not repeat."""

import re

from helpers import dosing, llm, world


def questions(split):
    return world.load_questions(("rule",), split=split)


def test_the_rule_gives_the_answers_of_the_data():
    for split in ("train", "development", "test"):
        for q in questions(split):
            assert dosing.reply(q) in q.answers, (q.question, dosing.reply(q), q.answers)
            assert f"{dosing.limit(q)} mg" in dosing.passage(q)


def test_a_sum_that_is_shown_ends_with_the_answer():
    for q in questions("test")[:20]:
        assert dosing.reply(q, sum_shown=True).endswith(f"is {dosing.reply(q)}")
        assert dosing.reply(q, 200) == ("100 mg" if dosing.share(q) == "half" else "150 mg")


def test_rows_have_numbers_of_their_own_and_the_right_answers():
    model, some = llm.load_model(), questions("train")
    rows = dosing.rule_rows(model, some, passes=3)
    assert len(rows) == 3 * len(some) and rows == dosing.rule_rows(model, some, passes=3)
    for (prompt, answer), q in zip(rows, some * 3):
        given = int(re.search(r"(\d+) mg", prompt.split("Question:")[0].split("user\n")[1])[1])
        assert answer == dosing.reply(q, given) and q.question in prompt
        assert given not in {dosing.limit(other) for split in ("train", "development", "test") for other in questions(split)}
    assert len({answer for _, answer in rows}) > 40  # of two shares of 160 limits


def test_the_policy_and_examples_stand_in_the_prompt():
    model, (first, second, *_) = llm.load_model(), questions("train")
    prompt = dosing.prompt(model, first, policy="THE POLICY", examples=[second])
    assert prompt.count("THE POLICY") == 2 and dosing.reply(second) in prompt and prompt.count(dosing.SYSTEM) == 1
    assert "THE POLICY" not in dosing.prompt(model, first)
