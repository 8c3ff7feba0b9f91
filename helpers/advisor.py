"""An adviser that gives a rule and a measured figure for everything it says: from a situation to an approach.

Two questions are decided, each by the rows of a table: look things up or not, train or not. Together they name the approach. Of the rules to
train, those that claim a gain fire only where the gain was measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from helpers import CourseError, evidence

APPROACHES = {(False, False): "prompt", (True, False): "rag", (False, True): "finetune", (True, True): "hybrid"}  # (look up, train)
NAMES = {"prompt": "a prompt alone", "rag": "retrieval (RAG)", "finetune": "fine-tuning", "hybrid": "the hybrid: a tuned model that looks things up"}
MONTHLY = 1  # updates a month that we let a tuned model follow: our choice, whatever claim K1 comes out at
ROWS = {"facts": 500, "manner": 100, "skill": 100, "reading": 800}  # from so many training rows on it may train: with them an arm of the course stood above its prompt, if not always beyond chance
YES_NO = {  # what a situation may ask for → how its yes and its no read
    "facts": ("it answers from documents", "it answered from no documents"),
    "manner": ("it keeps a house style", "it kept no house style"),
    "skill": ("it does a trained task (sorting, filling in fields, applying a rule)", "it did no such task"),
    "new_subjects": ("it is asked about subjects that no training row names", "all subjects asked about were known beforehand"),
    "citations": ("an answer must show its source", "no answer had to show its source"),
    "erasable": ("knowledge must be deletable, or closed to some readers", "nothing had to be deletable or closed to anyone"),
    "offline": ("no outside system may be needed to answer", "an outside system might be used"),
    "quick": ("every tenth of a second counts", "half a second did not matter"),
    "demanding": ("a wrong answer is costly", "a wrong answer were cheap"),
}


@dataclass(frozen=True)
class Situation:
    """What is wanted; the yes-or-no fields are explained in YES_NO. examples: training rows at hand."""

    facts: bool = False
    manner: bool = False
    skill: bool = False
    new_subjects: bool = True
    updates_per_month: float = 1
    questions_per_day: float = 1000
    examples: int = 0
    citations: bool = False
    erasable: bool = False
    offline: bool = False
    quick: bool = False
    demanding: bool = False


@dataclass(frozen=True)
class Recommendation:
    """approach (of NAMES); reasons, would_change, check_first: sentences, with the figures that decided."""

    approach: str
    reasons: tuple
    would_change: tuple
    check_first: tuple

    @property
    def text(self):
        """All of it as Markdown."""
        changes = self.would_change or ("none of the answers that we tried in its place",)
        parts = (("Because", self.reasons), ("What would change it", changes), ("Check first", self.check_first))
        lists = [f"{head}\n\n" + "\n".join(f"- {one}" for one in some) for head, some in parts if some]
        name = NAMES[self.approach]
        return "\n\n".join([f"**{name[0].upper()}{name[1:]}.**", *lists])


@dataclass(frozen=True)
class Known:
    """What rules may ask about besides the situation: what was measured, how often is too often for training, what was decided so far."""

    measured: evidence.Evidence
    often: float
    looks_up: bool = False
    trains: bool = False

    def gain(self, name):
        """Whether a difference was measured and its whole interval is above zero."""
        line = self.measured.find(name)
        return line is not None and line["value" if line["low"] is None else "low"] > 0


@dataclass(frozen=True)
class Rule:
    """when(situation, known) → why; the figure behind it and what it measures. answer: of the situation, to name in a contradiction."""

    when: Callable
    why: str
    figure: str
    measures: str
    answer: str = ""


STYLE, TASK = "tune.style tuned_over_few_shot all style", "tune.triage tuned_over_few_shot_retrieved all fields"
READING, RECITING = (f"hybrid.answers {arms} contains" for arms in ("desk_retrieved_over_few_shot_retrieved stable_unseen", "recite_over_few_shot_retrieved stable_tuned"))
LOOK_UP = (
    Rule(lambda s, k: s.citations, "an answer must show its source, and only a passage can be shown",
         "rag.citations retrieved all depends", "answers that change with the passage they cite", YES_NO["citations"][0]),
    Rule(lambda s, k: s.facts and s.erasable, "what sits in weights cannot be deleted, nor kept from a reader",
         "tune.canary repeats_16_versus_repeats_0 all exposure", "bits by which a secret gives itself away that was trained on 16 times", YES_NO["erasable"][0]),
    Rule(lambda s, k: s.facts and s.new_subjects, "training teaches nothing about subjects it does not name",
         "tune.headlines other_medicines facts contains", "right from memory about other medicines", YES_NO["new_subjects"][0]),
    Rule(lambda s, k: s.facts and s.updates_per_month > k.often,
         "facts change more often than we let training follow: once a month at most, and no more often than its saving pays for",
         "tune.update before all old_answer", "changed facts that get the old value until the next training", "{s.updates_per_month:g} updates a month"),
    Rule(lambda s, k: s.facts and s.examples < ROWS["facts"], "teaching facts takes each of them in many wordings",
         "tune.facts one_phrasing new_phrasing contains", "right after training on one wording of each", "{s.examples:,} training rows"),
    Rule(lambda s, k: s.facts and not (s.offline or s.quick or k.gain(RECITING)), "that facts are better recited than looked up was not shown, and an index is quicker to change",
         RECITING, "right about trained facts, reciting minus looking up"),
)
TRAIN = (
    Rule(lambda s, k: s.facts and not k.looks_up, "the facts are known beforehand, stay, and can all be taught",
         "tune.headlines new_wording facts contains", "facts taught that are right in a new wording"),
    Rule(lambda s, k: s.manner and s.examples >= ROWS["manner"] and k.gain(STYLE), "training teaches a manner better than examples in the prompt",
         STYLE, "rules of style kept, tuned on all rows of the course minus few-shot"),
    Rule(lambda s, k: s.skill and s.examples >= ROWS["skill"] and k.gain(TASK), "training teaches a task better than the nearest examples in the prompt",
         TASK, "fields right, tuned on all rows of the course minus few-shot with retrieval"),
    Rule(lambda s, k: s.facts and k.looks_up and s.demanding and s.examples >= ROWS["reading"] and k.gain(READING), "a model tuned to read makes more of the same passages",
         READING, "right about new subjects with passages, tuned to read on all rows of the course minus few-shot"),
)
NEITHER = (
    Rule(lambda s, k: not (k.looks_up or k.trains), "too few training rows, or no gain over examples in the prompt was shown: put examples into the prompt",
         "rag.style examples_in_context_over_base all style", "rules of style kept with examples in the prompt, minus without"),
)
CHECKS = (
    Rule(lambda s, k: True, "Write twenty questions with their right answers and try a plain prompt on them: the cheapest rung",
         "rag.answers few_shot all contains", "right by prompt alone, in this world"),
    Rule(lambda s, k: k.looks_up, "Does the search find the right page, and does the model then read it? Two different repairs",
         "rag.failures misreading all share", "wrong answers with the right passage in view"),
    Rule(lambda s, k: s.citations and not k.trains, "Is the source shown the right one? Follow twenty of its citations by hand",
         "rag.citations retrieved all precision", "citations right, of a model not tuned to cite"),
    Rule(lambda s, k: s.citations and k.trains, "Is the source shown the right one? Follow twenty of its citations by hand",
         "hybrid.citations desk_retrieved all precision", "citations right, of a model tuned to read and cite"),
    Rule(lambda s, k: s.demanding and k.looks_up and not (s.examples >= ROWS["reading"] and k.gain(READING)),
         "Would a model tuned to read do better? Ours, with each row read once, needed hundreds of rows to come level with few-shot, and was best with thousands",
         READING, "right about new subjects, tuned to read on all rows of the course minus few-shot"),
    Rule(lambda s, k: s.skill, "Would a plain classifier do, trained on the same rows?", "tune.triage tuned_over_classic all macro_f1", "macro-F1, tuned minus classifier"),
    Rule(lambda s, k: k.trains, "What does the training cost elsewhere? Ask the tuned model what it knew before",
         "tune.headlines triage_over_base forgetting general_accuracy", "common knowledge after a training to sort messages, minus before"),
    Rule(lambda s, k: s.erasable and k.looks_up, "Is access checked before the search?", "rag.access open all leaked", "staff secrets that an index without checks gave away"),
    Rule(lambda s, k: s.erasable and k.trains, "Is every secret out of the training rows?", "tune.canary repeats_1_versus_repeats_0 all exposure", "bits by which one repeat shows"),
    Rule(lambda s, k: s.quick, "Clock it on your own machine, and merge the adapter into the weights", "tune.latency tuned_per_retrieved all ms_p50", "tuned reply per reply with retrieval"),
)


def recommend(situation, measured=None, break_even=None):
    """A Recommendation for a Situation. measured: the evidence.Evidence to go by (default: all there is). break_even: the updates a month that
    use up what a tuned model saves on 1,000 questions a day (costs.break_even_updates): 0 where it saves nothing, None where that is not known.

    Raises CourseError for numbers that make no sense, and for two answers that contradict each other.
    """
    measured = measured or evidence.load()
    approach, rules, known = _decide(situation, measured, break_even)
    changes = []
    for answers, said in _changes(situation):
        try:
            other = _decide(replace(situation, **answers), measured, break_even)[0]
        except CourseError:
            continue
        if other != approach:
            changes.append(f"if {said}: then {NAMES[other]}")
    said = lambda some: tuple(f"{rule.why} ({rule.measures}: {evidence.linked(measured.find(rule.figure))})" for rule in some)
    return Recommendation(approach, said(rules), tuple(changes), said([rule for rule in CHECKS if rule.when(situation, known)]))


def _decide(s, measured, break_even):
    """(approach, the rules that fired, what is known then)."""
    for name in ("updates_per_month", "questions_per_day", "examples"):
        if not 0 <= (value := getattr(s, name)) < math.inf:
            raise CourseError(f"{name} is {value!r}: give a number, zero or more.")
    if not (s.facts or s.manner or s.skill):
        raise CourseError("Nothing is asked for: say yes to at least one of facts, manner and skill.")
    known = Known(measured, MONTHLY if break_even is None else min(MONTHLY, break_even * s.questions_per_day / 1000))
    look = [rule for rule in LOOK_UP if rule.when(s, known)]
    if look and s.offline:
        raise CourseError(f"Two answers contradict each other: «{YES_NO['offline'][0]}» and «{look[0].answer.format(s=s)}», which needs looking up. Give up one of them.")
    known = replace(known, looks_up=bool(look))
    train = [rule for rule in TRAIN if rule.when(s, known)]
    known = replace(known, trains=bool(train))
    return APPROACHES[known.looks_up, known.trains], look + train + [rule for rule in NEITHER if rule.when(s, known)], known


def _changes(s):
    """(other answers, how they read) for each answer that could have been given otherwise, and two of several at once."""
    yield {"updates_per_month": 0}, "nothing ever changed"
    yield {"updates_per_month": 30}, "something changed every day"
    yield {"examples": 0}, "there were no training rows"
    yield {"examples": 5000}, "there were 5,000 training rows"
    for name, (yes, no) in YES_NO.items():
        yield {name: not getattr(s, name)}, no if getattr(s, name) else yes
    yield {"examples": 5000, "demanding": True}, "a wrong answer were costly, and there were 5,000 training rows"
    yield ({"examples": 5000, "new_subjects": False, "updates_per_month": 0, "citations": False, "erasable": False},
           "all of it were known beforehand, free to all, never changed or traced, and there were 5,000 training rows")
