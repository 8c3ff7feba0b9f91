"""Measures of answers and of rankings. Every one is a number from 0 (worst) to 1 (best) for a single question."""

import functools
import math
import re
from collections import Counter

TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
UNITS = "one|two|three|four|five|six|seven|eight|nine"


@functools.lru_cache(8192)
def normalise(text):
    """Lower case, no punctuation, no articles, single spaces; numbers stay whole, so that 1.5, −5, 12–14 and thirty-five hold no 5.

    Source: the normalisation of SQuAD (Rajpurkar et al. 2016), to which only the rules on numbers and units are added.
    """
    text = re.sub(r"\[\d+\]", " ", text.lower())  # citations are not part of an answer
    text = re.sub(r"[−–]", "-", text.replace("º", "°").replace("μ", "µ"))
    text = re.sub(rf"\b({TENS})[ -]({UNITS})\b", r"\1\2", text)
    text = re.sub(r"\bhundred (?:and )?(?=[a-z])", "hundred", text)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(?<![\d\w])\.(?=\d)", "0.", text)
    text = re.sub(r"(?<=\d) ?[-/] ?(?=\d)", "_", text)  # a range or a fraction is one word
    text = re.sub(r"(?:\bminus |(?<!\w)-)(?=\d)", "minus", text)
    text = re.sub(r"(\d)\.(\d*?)0+(?!\d)", lambda number: number[1] + ("." + number[2] if number[2] else ""), text)
    text = re.sub(r"° +(?=[cf]\b)", "°", text)
    text = re.sub(r"(?<=\d)(?=[a-zµ%°])", " ", text)
    text = re.sub(r"(?<!\d)\.|\.(?!\d)|[^\w\s.%°]", " ", text)
    return " ".join(word for word in text.split() if word not in ("a", "an", "the"))


def exact_match(reply, answers):
    """1.0 when the reply, normalised, equals one of the answers."""
    return float(any(normalise(reply) == normalise(answer) for answer in answers))


UNIT = "mg|ml|g|kg|µg|°c|%|milligrams?|grams?|minutes?|mins?|hours?|days?|weeks?|months?|years?|marks?|degrees?|seconds?|point"


def contains(reply, answers, wrong=()):
    """1.0 when one of the answers stands in the reply as whole words, both normalised, and before anything of `wrong`.

    wrong: other names that the question offers; the first one named decides. An answer that is a bare number counts only where no unit follows it.
    """
    said = f" {normalise(reply)} "
    places = [_place(said, normalise(answer)) for answer in answers]
    found = min((place for place in places if place >= 0), default=None)
    others = [_place(said, normalise(name)) for name in wrong]
    return float(found is not None and not any(0 <= place < found for place in others))


def _place(said, answer):
    """Where an answer stands in a normalised reply; −1 for nowhere."""
    after = rf"(?! (?:{UNIT}) )" if answer.isdigit() else ""
    match = re.search(rf" {re.escape(answer)}{after}(?= )", said) if answer else None
    return match.start() if match else -1


def token_f1(reply, answers):
    """The harmonic mean of precision and recall over words, against the answer that fits best. Source: SQuAD, as above."""
    return max((_f1(normalise(reply).split(), normalise(answer).split()) for answer in answers), default=0.0)


def _f1(said, gold):
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold)) if common else 0.0


REFUSAL = re.compile(
    r"\b(?:do|does|did)(?: not|n't) (?:know|say|state|mention|contain|provide)\b|(?:\bnot|n't) (?:sure|stated|mentioned|found|provided|able to)\b"
    r"|\bcan(?:not|'t| not) (?:say|tell|answer|find|help)\b|\bno (?:information|passage|answer)\b|\bunknown\b|\bsorry\b", re.IGNORECASE,
)


def refuses(reply):
    """1.0 when a reply says that it does not know or that the passages do not tell."""
    return float(bool(REFUSAL.search(reply.replace("’", "'"))))


def recall_at_k(ranked, gold, k):
    """Share of the gold ids among the first k ranked ids."""
    return len(set(ranked[:k]) & set(gold)) / len(set(gold))


def reciprocal_rank(ranked, gold):
    """1 / rank of the first gold id, ranks counted from 1; 0 when none is ranked. Its mean over questions is the MRR."""
    return next((1 / rank for rank, name in enumerate(ranked, 1) if name in set(gold)), 0.0)


def ndcg_at_k(ranked, gold, k=10):
    """Normalised discounted cumulative gain: a gold id at rank r earns 1 / log2(r + 1), divided by the best possible sum.

    Source: Järvelin and Kekäläinen 2002.
    """
    gain = sum(1 / math.log2(rank + 1) for rank, name in enumerate(ranked[:k], 1) if name in set(gold))
    return gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(set(gold))) + 1))


def chance_recall(k, chunks):
    """Recall@k of a random ranking: k / number of chunks, at most 1."""
    return min(1.0, k / chunks)
