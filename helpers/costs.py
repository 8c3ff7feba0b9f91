"""What an answer costs: tokens and searches times dated prices, plus a share of what is paid once and at each update.

Nothing here is measured: quantities come from records or are counted, prices stand in data/prices.csv, to be edited.
"""

import csv
import datetime
import functools
import math
from dataclasses import dataclass

from helpers import COURSE, CourseError
from helpers.stats import Estimate
from helpers.world import read_text

ITEMS = ("prompt_tokens", "output_tokens", "tuned_prompt_tokens", "tuned_output_tokens", "training_tokens", "embedded_tokens", "searches", "endpoint_hours")
DAYS, HOURS = 30, 720  # of a month


@dataclass(frozen=True)
class Price:
    """One row of prices.csv: so many dollars per so many of an item, as published on a date."""

    item: str
    usd: float
    per: float
    date: str
    source: str
    note: str


def load_prices(path=COURSE / "data" / "prices.csv"):
    """Item → Price, one for each of ITEMS. Raises CourseError naming the row that is missing, there twice or malformed, and what to do."""
    reader, prices, columns = csv.DictReader(read_text(path).splitlines()), {}, list(Price.__dataclass_fields__)
    for row in reader:
        place = f"{path.name}, line {reader.line_num}"
        if list(row) != columns or None in row.values():
            raise CourseError(f"{place}: its columns are not {', '.join(columns)}: put texts with commas in quotes.")
        if row["item"] not in ITEMS or row["item"] in prices:
            raise CourseError(f"{place}: item is {row['item']!r}: name each of {', '.join(ITEMS)} once.")
        for column in ("usd", "per"):
            row[column] = _positive(f"{place}: {column} of {row['item']}", row[column])
        try:
            datetime.date.fromisoformat(row["date"])
        except ValueError:
            raise CourseError(f"{place}: the date of {row['item']} is {row['date']!r}: write the day you read the price as YYYY-MM-DD.") from None
        prices[row["item"]] = Price(**row)
    if missing := [item for item in ITEMS if item not in prices]:
        raise CourseError(f"{path.name} lacks a row for {', '.join(missing)}: add it, or restore the file with `git checkout data`.")
    return prices


def _positive(what, text):
    try:
        if 0 < (number := float(text)) < math.inf:
            return number
    except ValueError:
        pass
    raise CourseError(f"{what} is {text!r}: write a number above zero, such as 0.25 (and 0.000001 for what you get free: half of a price must be one).")


def each(prices):
    """Item → dollars for one of it, from load_prices(): what the functions below take as `prices`."""
    return {item: price.usd / price.per for item, price in prices.items()}


@dataclass(frozen=True)
class Approach:
    """What one way of answering uses up, in tokens (means).

    prompt, output: of a question, read and written by a tuned model or not. searched: tokens of a question that is embedded and searched for, 0 where
    nothing is looked up. trained, embedded: once; update_…: at each update. hours: of people, counted only in a scenario that prices them.
    """

    name: str
    prompt: float
    output: float
    tuned: bool = False
    searched: float = 0
    trained: float = 0
    embedded: float = 0
    update_trained: float = 0
    update_embedded: float = 0
    hours: float = 0
    update_hours: float = 0


@dataclass(frozen=True)
class Scenario:
    """How much is asked, how often something changes, for how long. The default is what the claims' rules fixed beforehand.

    own_endpoint: whether a tuned model is served on a rented machine of its own. Raises CourseError for a number below zero.
    """

    questions_per_day: float = 1000
    updates_per_month: float = 1
    months: float = 1
    usd_per_hour: float = 0  # of people's time: left out
    own_endpoint: bool = False

    def __post_init__(self):
        for name in ("questions_per_day", "updates_per_month", "months", "usd_per_hour"):
            if not 0 <= (value := getattr(self, name)) < math.inf:
                raise CourseError(f"{name} is {value!r}: give a number, zero or more.")


def question_cost(approach, prices):
    """Dollars that one more question costs."""
    return sum(_parts(approach, prices).values())


def _parts(approach, prices):
    kind = "tuned_" if approach.tuned else ""
    looked_up = approach.searched * prices["embedded_tokens"] + prices["searches"] if approach.searched else 0.0
    return {"prompts": approach.prompt * prices[f"{kind}prompt_tokens"], "replies": approach.output * prices[f"{kind}output_tokens"], "searches": looked_up}


def update_cost(approach, prices, usd_per_hour=0):
    """Dollars that one more update costs."""
    return (approach.update_trained * prices["training_tokens"] + approach.update_embedded * prices["embedded_tokens"]
            + approach.update_hours * usd_per_hour)


def build_cost(approach, prices, usd_per_hour=0):
    """Dollars paid once, before the first question."""
    return approach.trained * prices["training_tokens"] + approach.embedded * prices["embedded_tokens"] + approach.hours * usd_per_hour


def bill(approach, prices, scenario=Scenario()):
    """What a scenario costs, part → dollars: prompts, replies, searches, updates, building, and a tuned model's own machine."""
    questions = scenario.questions_per_day * DAYS * scenario.months
    return {**{part: questions * usd for part, usd in _parts(approach, prices).items()},
            "updates": scenario.updates_per_month * scenario.months * update_cost(approach, prices, scenario.usd_per_hour),
            "building": build_cost(approach, prices, scenario.usd_per_hour), "machine": scenario.months * _rent(approach, prices, scenario)}


def _rent(approach, prices, scenario):
    return HOURS * prices["endpoint_hours"] if approach.tuned and scenario.own_endpoint else 0.0  # a month


def total(approach, prices, scenario=Scenario()):
    """Dollars that a scenario costs in all."""
    return sum(bill(approach, prices, scenario).values())


COSTS = {  # group of decide.cost → dollars; at 1,000 questions a day and one update a month unless its name says otherwise
    "per_question": question_cost, "per_update": update_cost, "first_month": total,
    "million_questions": functools.partial(total, scenario=Scenario(months=1000 / DAYS)),
    "weekly_updates": functools.partial(total, scenario=Scenario(months=12, updates_per_month=52 / 12)),
    "yearly_updates": functools.partial(total, scenario=Scenario(months=12, updates_per_month=1 / 12)),
}


def over_prices(figure, prices):
    """figure(prices), a stats.Estimate: low and high are the range over half and twice each price, one moved at a time. (No 95% interval.)"""
    some = [figure({**prices, item: prices[item] * factor}) for item in prices for factor in (1, 0.5, 2)]
    return Estimate(figure(prices), min(some), max(some), len(prices))


def ratio(first, second, cost, prices):
    """cost(first) / cost(second) over_prices, or None where the second costs nothing."""
    return over_prices(lambda some: cost(first, some) / cost(second, some), prices) if cost(second, prices) else None


def break_even_questions(first, second, prices, scenario=Scenario()):
    """After how many questions the first, dearer to build, has cost less than the second; None where it never does. Updates go on at the scenario's pace."""
    saved = _saved(first, second, prices, scenario) - scenario.updates_per_month * _dearer(update_cost, first, second, prices, scenario)
    return max(0.0, _dearer(build_cost, first, second, prices, scenario) / saved * scenario.questions_per_day * DAYS) if saved > 0 else None


def break_even_updates(first, second, prices, scenario=Scenario()):
    """How many updates a month use up what the first saves on a month's questions and machines (building left out): 0 where it saves nothing, None
    where updates cost it no more."""
    saved, more = _saved(first, second, prices, scenario), _dearer(update_cost, first, second, prices, scenario)
    return 0.0 if saved <= 0 else saved / more if more > 0 else None


def _saved(first, second, prices, scenario):
    questions = scenario.questions_per_day * DAYS * (question_cost(second, prices) - question_cost(first, prices))
    return questions + _rent(second, prices, scenario) - _rent(first, prices, scenario)  # a month


def _dearer(cost, first, second, prices, scenario):
    return cost(first, prices, scenario.usd_per_hour) - cost(second, prices, scenario.usd_per_hour)
