"""The cost model: sums done by hand, bad prices told, and more use never costs less."""

import shutil
from dataclasses import replace

import pytest

from helpers import CourseError, costs, world

PRICES = {"prompt_tokens": 1.0, "output_tokens": 2.0, "tuned_prompt_tokens": 3.0, "tuned_output_tokens": 4.0, "training_tokens": 5.0,
          "embedded_tokens": 0.5, "searches": 7.0, "endpoint_hours": 11.0}
PLAIN = costs.Approach("plain", 10, 3)
RAG = costs.Approach("RAG", 100, 3, searched=4, embedded=1000, update_embedded=20)
TUNED = costs.Approach("tuned", 10, 3, True, trained=500, update_trained=60, hours=8, update_hours=2)


def test_sums_by_hand():
    assert costs.question_cost(PLAIN, PRICES) == 10 + 6
    assert costs.question_cost(RAG, PRICES) == 100 + 6 + 4 * 0.5 + 7
    assert costs.question_cost(TUNED, PRICES) == 30 + 12
    assert (costs.update_cost(RAG, PRICES), costs.update_cost(TUNED, PRICES), costs.update_cost(PLAIN, PRICES)) == (10, 300, 0)
    assert (costs.build_cost(RAG, PRICES), costs.build_cost(TUNED, PRICES), costs.build_cost(TUNED, PRICES, 100)) == (500, 2500, 3300)
    when = costs.Scenario(questions_per_day=2, updates_per_month=3, months=4)
    assert costs.bill(RAG, PRICES, when) == {"prompts": 240 * 100, "replies": 240 * 6, "searches": 240 * 9, "updates": 120, "building": 500, "machine": 0}
    assert costs.total(TUNED, PRICES, when) == 240 * 42 + 12 * 300 + 2500
    assert costs.total(TUNED, PRICES, replace(when, own_endpoint=True)) == 240 * 42 + 12 * 300 + 2500 + 4 * 720 * 11
    assert costs.total(RAG, PRICES, replace(when, own_endpoint=True)) == costs.total(RAG, PRICES, when)
    assert costs.total(TUNED, PRICES, replace(when, usd_per_hour=1)) == 240 * 42 + 12 * 302 + 2508


def test_the_groups_are_those_scenarios():
    first = 30_000 * 42 + 300 + 2500
    assert costs.COSTS["first_month"](TUNED, PRICES) == first
    assert costs.COSTS["million_questions"](TUNED, PRICES) == pytest.approx(1e6 * 42 + 1000 / 30 * 300 + 2500)
    assert costs.COSTS["weekly_updates"](TUNED, PRICES) == pytest.approx(360_000 * 42 + 52 * 300 + 2500)
    assert costs.COSTS["yearly_updates"](TUNED, PRICES) == pytest.approx(360_000 * 42 + 300 + 2500)


def test_a_range_over_prices_moves_them_one_at_a_time():
    ratio = costs.ratio(TUNED, PLAIN, costs.question_cost, PRICES)  # 42 / 16
    assert ratio.value == 42 / 16 and ratio.n == len(PRICES)
    moved = [27 / 16, 72 / 16, 36 / 16, 54 / 16, 42 / 11, 42 / 26, 42 / 13, 42 / 22]
    assert (ratio.low, ratio.high) == (pytest.approx(min(moved)), pytest.approx(max(moved)))
    assert costs.ratio(TUNED, PLAIN, costs.update_cost, PRICES) is None
    same = costs.ratio(RAG, RAG, costs.total, PRICES)
    assert (same.value, same.low, same.high) == (1, 1, 1)


def test_break_even_is_where_the_bills_meet():
    questions = costs.break_even_questions(TUNED, RAG, PRICES)
    months = questions / 30_000
    when = costs.Scenario(months=months)
    assert costs.total(TUNED, PRICES, when) == pytest.approx(costs.total(RAG, PRICES, when))
    updates = costs.break_even_updates(TUNED, RAG, PRICES)
    running = lambda way: 30_000 * costs.question_cost(way, PRICES) + updates * costs.update_cost(way, PRICES)
    assert running(TUNED) == pytest.approx(running(RAG))


def test_a_machine_of_its_own_counts_in_the_break_even():
    own = costs.Scenario(questions_per_day=1000, own_endpoint=True)
    saved = 30_000 * (costs.question_cost(RAG, PRICES) - costs.question_cost(TUNED, PRICES)) - 720 * 11
    assert costs.break_even_updates(TUNED, RAG, PRICES, own) == pytest.approx(saved / (300 - 10))
    questions = costs.break_even_questions(TUNED, RAG, PRICES, own)
    when = replace(own, months=questions / 30_000)
    assert costs.total(TUNED, PRICES, when) == pytest.approx(costs.total(RAG, PRICES, when))
    few = replace(own, questions_per_day=1)  # the rent is more than they save
    assert costs.break_even_updates(TUNED, RAG, PRICES, few) == 0 and costs.break_even_questions(TUNED, RAG, PRICES, few) is None


def test_there_may_be_no_break_even():
    dear = replace(TUNED, prompt=1000)
    assert costs.break_even_questions(dear, RAG, PRICES) is None and costs.break_even_updates(dear, RAG, PRICES) == 0
    assert costs.break_even_questions(TUNED, RAG, PRICES, costs.Scenario(updates_per_month=10**6)) is None  # updates eat all that it saves
    assert costs.break_even_updates(replace(TUNED, update_trained=0, update_hours=0), RAG, PRICES) is None  # they cost it less: nothing eats the saving
    assert costs.break_even_questions(replace(TUNED, trained=1), RAG, PRICES) == 0  # cheaper to build as well
    assert costs.break_even_questions(TUNED, RAG, PRICES, costs.Scenario(questions_per_day=0)) is None


@pytest.mark.parametrize("way", [PLAIN, RAG, TUNED], ids=lambda way: way.name)
@pytest.mark.parametrize("field", ["questions_per_day", "updates_per_month", "months", "usd_per_hour"])
def test_more_never_costs_less(way, field):
    bills = [costs.total(way, PRICES, costs.Scenario(**{field: value})) for value in (0, 1, 10, 1000)]
    assert bills == sorted(bills)
    for item in PRICES:
        assert costs.total(way, {**PRICES, item: 2 * PRICES[item]}) >= costs.total(way, PRICES)


@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_scenario_of_no_sense_is_told(value):
    with pytest.raises(CourseError, match="updates_per_month is .*zero or more"):
        costs.Scenario(updates_per_month=value)


def test_the_prices_that_ship_are_dated_and_sourced():
    prices = costs.load_prices()
    assert list(prices) == list(costs.ITEMS) and all(price.source.startswith("https://") and price.note for price in prices.values())
    assert costs.each(prices)["training_tokens"] == prices["training_tokens"].usd / 1e6


@pytest.mark.parametrize("old, new, said", [
    ("prompt_tokens,0.10", "prompt_tokens,0", "line 2: usd of prompt_tokens is '0': write a number above zero"),
    ("prompt_tokens,0.10", "prompt_tokens,-0.10", "line 2: usd of prompt_tokens is '-0.10'"),
    ("output_tokens,0.40", "output_tokens,cheap", "line 3: usd of output_tokens is 'cheap'"),
    ("output_tokens,0.40", "output_tokens,inf", "line 3: usd of output_tokens is 'inf'"),
    ("0.40,1000000", "0.40,0", "line 3: per of output_tokens is '0'"),
    ("2026-11-04", "November", "line 8: the date of searches is 'November': write the day"),
    ("searches,4.00", "finds,4.00", "line 8: item is 'finds'"),
    ("searches,4.00", "prompt_tokens,4.00", "line 8: item is 'prompt_tokens': name each of .* once"),
    ("item,usd", "item,dollars", "line 2: its columns are not item, usd, per"),
    ("searches,4.00,", "searches,", "line 8: its columns are not"),
])
def test_each_bad_price_is_named(tmp_path, old, new, said):
    path = tmp_path / "prices.csv"
    text = (world.DATA / "prices.csv").read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CourseError, match=said):
        costs.load_prices(path)


def test_a_missing_row_or_file_is_told(tmp_path):
    path = tmp_path / "prices.csv"
    shutil.copy(world.DATA / "prices.csv", path)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("searches")))
    with pytest.raises(CourseError, match="lacks a row for searches"):
        costs.load_prices(path)
    with pytest.raises(CourseError, match="prices.csv can't be read"):
        costs.load_prices(tmp_path / "none" / "prices.csv")


def test_the_approaches_of_this_world_use_what_they_should():
    """Retrieval reads more and searches; only tuned models train; nothing is looked up by them but in the hybrid."""
    from helpers import evidence, quantities

    ways, basis = quantities.approaches(evidence.load())
    assert basis in ("run", "reference", "counted") and set(ways) >= {"prompt", "rag", "rag_long", "finetune"}
    assert len({way.output for way in ways.values()}) == 1, "replies are equally long"
    assert ways["rag_long"].prompt > ways["rag"].prompt > ways["rag_bare"].prompt > ways["finetune"].prompt > 0
    assert ways["rag"].searched and not ways["rag"].trained and not ways["finetune"].searched
    assert 0 < ways["rag"].update_embedded < ways["rag"].embedded and 0 < ways["finetune"].update_trained < ways["finetune"].trained
    if "hybrid" in ways:
        assert ways["hybrid"].tuned and ways["hybrid"].searched and ways["hybrid"].trained and not ways["hybrid"].update_trained
