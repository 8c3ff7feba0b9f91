"""Intervals and paired tests, resampled by fact: two phrasings of one fact are not two independent observations."""

from dataclasses import dataclass

import numpy as np


SIGNS = 6  # facts that must differ before an exact two-sided test of signs can reach 5%: 2 · 0.5⁶ = 3%


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95% interval. `n` counts facts."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self):
        return f"{self.value:.0%} ({self.low:.0%} to {self.high:.0%})"


def fact_means(scores, facts):
    """The mean score of each fact, as an array [facts], sorted by fact."""
    scores, facts = np.asarray(scores, float), np.asarray(facts)
    if len(scores) != len(facts) or not len(scores):
        raise ValueError(f"{len(scores)} scores and {len(facts)} facts: give one fact per score, and at least one.")
    return np.array([scores[facts == fact].mean() for fact in np.unique(facts)])


def mean_interval(scores, facts, draws=2000, seed=0):
    """Mean over facts and its 95% percentile bootstrap interval, facts drawn with replacement. Returns an Estimate.

    Near 0 and 1 resampling shows too little spread. Where the facts' scores, or what they lack to 1, add up to less than 5, the
    interval is the exact binomial one instead. Scores lie between 0 and 1.
    Source: Efron and Tibshirani 1993; Clopper and Pearson 1934, with the beta quantiles taken at counts that need not be whole.
    """
    means = fact_means(scores, facts)
    right, wrong = means.sum(), len(means) - means.sum()
    if min(right, wrong) < 5 or _flat(means):
        from scipy.stats import beta

        low = beta.ppf(0.025, right, wrong + 1) if right > 0 else 0
        high = beta.ppf(0.975, right + 1, wrong) if wrong > 0 else 1
    else:
        low, high = np.percentile(_resampled_means(means, draws, seed), [2.5, 97.5])
    return Estimate(float(means.mean()), float(low), float(high), len(means))


def difference_interval(first, second, facts, draws=2000, seed=0):
    """Mean of `first` − `second`, paired by question, with its 95% bootstrap interval by fact. Returns an Estimate.

    Where all facts differ alike, resampling shows no spread; the interval then allows for the share of other facts that n could
    have missed. Resampling also leaves out 0 too soon where few facts differ: where fewer than six do, no exact test of signs can
    tell the two apart at the 5% level, so the interval then reaches 0. Source: Efron and Tibshirani 1993; Hanley and Lippman-Hand 1983; Fisher 1935.
    """
    means = fact_means(np.asarray(first, float) - np.asarray(second, float), facts)
    low, high = np.percentile(_resampled_means(means, draws, seed), [2.5, 97.5])
    if _flat(means):
        low, high = _missed(low, high, len(means))
    if np.count_nonzero(means) < SIGNS:
        low, high = min(low, 0.0), max(high, 0.0)
    return Estimate(float(means.mean()), float(low), float(high), len(means))


def unpaired_difference_interval(first, first_facts, second, second_facts, draws=2000, seed=0):
    """Mean of `first` − mean of `second`, scores of different questions, with its 95% bootstrap interval by fact. Returns an Estimate.

    Facts are drawn anew in each of the two groups. A group whose facts are all alike shows no spread; its own interval is then that
    of difference_interval, and the two groups' intervals are combined. Source: Efron and Tibshirani 1993, the two-sample problem;
    Newcombe 1998, method 10, for the combining.
    """
    groups = fact_means(first, first_facts), fact_means(second, second_facts)
    drawn = [_resampled_means(means, draws, seed + n) for n, means in enumerate(groups)]
    value = groups[0].mean() - groups[1].mean()
    low, high = np.percentile(drawn[0] - drawn[1], [2.5, 97.5])
    if any(map(_flat, groups)):
        ends = [np.percentile(some, [2.5, 97.5]) for some in drawn]
        ends = [_missed(*pair, len(means)) if _flat(means) else pair for pair, means in zip(ends, groups)]
        (down, up), (other_down, other_up) = ((means.mean() - pair[0], pair[1] - means.mean()) for pair, means in zip(ends, groups))
        low, high = value - np.hypot(down, other_up), value + np.hypot(up, other_down)
    return Estimate(float(value), float(low), float(high), sum(map(len, groups)))


def _flat(means):
    """Whether all facts are alike, but for rounding."""
    return np.ptp(means) < 1e-9


def _missed(low, high, n):
    """An interval of no spread, widened by the share of facts unlike these that n facts miss one time in forty."""
    missed = 1 - 0.025 ** (1 / n)
    return min(low, max(-1, low - missed)), max(high, min(1, high + missed))


def macro_f1_interval(predicted, gold, draws=2000, seed=0):
    """Macro-F1 (the mean over the gold classes of their F1) with its 95% bootstrap interval, items drawn with replacement. Returns an Estimate.

    Where all resamples agree (everything right, or everything wrong) the interval is that of a share of 0 or 1 over as many items.
    """
    scores = _macro_f1s(predicted, gold, draws, seed)
    if _flat(scores):
        wrong = mean_interval(np.zeros(len(gold)), range(len(gold)))
        return Estimate(float(scores[0]), max(0.0, scores[0] - wrong.high), min(1.0, scores[0] + wrong.high), len(gold))
    return Estimate(float(scores[0]), *map(float, np.percentile(scores[1:], [2.5, 97.5])), len(gold))


def macro_f1_difference_interval(first, second, gold, draws=2000, seed=0):
    """Macro-F1 of `first` − that of `second` on the same items, with its 95% bootstrap interval. Returns an Estimate."""
    gaps = _macro_f1s(first, gold, draws, seed) - _macro_f1s(second, gold, draws, seed)
    return Estimate(float(gaps[0]), *map(float, np.percentile(gaps[1:], [2.5, 97.5])), len(gold))


def _macro_f1s(predicted, gold, draws, seed):
    """Macro-F1 of the items as they are, then of each resample: array [1 + draws]. A class that a resample lacks is left out of its mean."""
    classes, n = sorted(set(gold)), len(gold)
    picked = np.vstack([np.arange(n), np.random.default_rng(seed).integers(n, size=(draws, n))])
    is_gold, is_said = (np.array([[label == name for name in classes] for label in labels]) for labels in (gold, predicted))
    hits, golds, said = ((some[picked]).sum(1) for some in (is_gold & is_said, is_gold, is_said))
    f1 = 2 * hits / np.maximum(golds + said, 1)
    return (f1 * (golds > 0)).sum(1) / (golds > 0).sum(1)


def _resampled_means(means, draws, seed):
    rng = np.random.default_rng(seed)
    return means[rng.integers(len(means), size=(draws, len(means)))].mean(1)


def mcnemar(first, second):
    """Exact two-sided p-value that two arms, scored 0 or 1 on the same questions, are equally often right.

    One question per fact, else the observations are not independent. Source: McNemar 1947, the exact binomial form.
    """
    from scipy.stats import binomtest

    first, second = np.asarray(first, bool), np.asarray(second, bool)
    only_first, only_second = int((first & ~second).sum()), int((~first & second).sum())
    return binomtest(only_first, only_first + only_second).pvalue if only_first + only_second else 1.0


def permutation_test(first, second, facts, draws=9999, seed=0):
    """Two-sided p-value of the mean paired difference when each fact's difference may flip its sign.

    Source: Fisher 1935; the +1 that keeps p above zero: Phipson and Smyth 2010.
    """
    means = fact_means(np.asarray(first, float) - np.asarray(second, float), facts)
    signs = np.random.default_rng(seed).choice([-1, 1], size=(draws, len(means)))
    extreme = np.abs((signs * means).mean(1)) >= abs(means.mean()) - 1e-12
    return float((extreme.sum() + 1) / (draws + 1))


def holm(p_values):
    """p-values adjusted for being a family, in the order given. Source: Holm 1979."""
    p = np.asarray(p_values, float)
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted.tolist()


def smallest_effect(n, spread, power=0.8):
    """The smallest mean difference that n facts would show at the 5% level with this power, by the normal approximation.

    spread: standard deviation of the paired difference over facts. Source: Cohen 1988, the paired test of means.
    """
    from scipy.stats import norm

    return float((norm.ppf(0.975) + norm.ppf(power)) * spread / np.sqrt(n))
