"""Intervals must cover, tests must keep their level, and both must resample by fact."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from helpers import stats


def simulated(rng, facts=40, phrasings=3, share=0.6):
    """Scores whose facts differ in difficulty: phrasings of one fact are alike."""
    hard = rng.beta(4 * share, 4 * (1 - share), size=facts)
    return (rng.random((facts, phrasings)) < hard[:, None]).astype(float).ravel(), np.repeat(np.arange(facts), phrasings)


def test_the_interval_covers_the_truth_and_resampling_by_phrasing_would_not():
    rng = np.random.default_rng(0)
    covered, naive = [], []
    for trial in range(400):
        scores, facts = simulated(rng)
        by_fact = stats.mean_interval(scores, facts, draws=400, seed=trial)
        by_row = stats.mean_interval(scores, np.arange(len(scores)), draws=400, seed=trial)
        covered.append(by_fact.low <= 0.6 <= by_fact.high)
        naive.append(by_row.low <= 0.6 <= by_row.high)
    assert 0.91 <= np.mean(covered) <= 0.98
    assert np.mean(naive) < np.mean(covered) - 0.02


def test_an_arm_that_is_never_or_always_right_still_has_an_interval():
    none, every = stats.mean_interval([0] * 36, range(36)), stats.mean_interval([1] * 36, range(36))
    assert none.low == 0 and none.high == pytest.approx(1 - 0.025 ** (1 / 36))  # Clopper–Pearson by hand
    assert every.high == 1 and every.low == pytest.approx(0.025 ** (1 / 36))


def test_near_the_edges_the_interval_still_covers_and_grows_with_the_share():
    rng = np.random.default_rng(7)
    for share in (0.02, 0.06, 0.12, 0.9):
        covered = []
        for trial in range(300):
            scores, facts = simulated(rng, facts=35, phrasings=2, share=share)
            estimate = stats.mean_interval(scores, facts, draws=400, seed=trial)
            covered.append(estimate.low <= share <= estimate.high)
        assert np.mean(covered) >= 0.91, share
    highs = [stats.mean_interval([1] * right + [0] * (35 - right), range(35)).high for right in range(5)]  # where the exact formula holds
    assert highs == sorted(highs)


def test_the_interval_agrees_with_scipy_on_independent_facts():
    scores = np.random.default_rng(3).random(50)
    ours = stats.mean_interval(scores, np.arange(50), draws=20000)
    theirs = scipy_stats.bootstrap((scores,), np.mean, method="percentile", n_resamples=20000, rng=1).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


def test_the_paired_difference_uses_the_pairing():
    rng = np.random.default_rng(4)
    hard = rng.random(40)
    first, second = hard, hard - 0.05 + 0.01 * rng.standard_normal(40)
    paired = stats.difference_interval(first, second, range(40))
    assert 0.04 < paired.low < 0.05 < paired.high < 0.06


def test_a_difference_that_few_facts_carry_is_not_told_from_none():
    for differ in range(1, 12):
        first = [1] * differ + [0] * (40 - differ)
        few = stats.difference_interval(first, [0] * 40, range(40))
        assert few.value == pytest.approx(differ / 40)
        assert (few.low > 0) == (stats.mcnemar(first, [0] * 40) < 0.05) == (differ >= stats.SIGNS)
        turned = stats.difference_interval([0] * 40, first, range(40))
        assert (turned.high < 0) == (differ >= stats.SIGNS)


def test_two_groups_without_spread_still_have_an_interval():
    none = stats.unpaired_difference_interval([0] * 10, range(10), [0] * 40, range(40))
    assert none.value == 0 and none.low == -none.high and none.high == pytest.approx(np.hypot(1 - 0.025 ** 0.1, 1 - 0.025 ** (1 / 40)))


def test_one_group_without_spread_is_not_taken_for_certain():
    flat = stats.unpaired_difference_interval([0, 1] * 20, range(40), [0] * 6, range(6))
    assert flat.value == 0.5 and 0 < flat.low < 0.1  # six facts that agree leave almost half of the others open
    turned = stats.unpaired_difference_interval([0] * 6, range(6), [0, 1] * 20, range(40))
    assert (turned.value, turned.low, turned.high) == pytest.approx((-0.5, -flat.high, -flat.low), abs=0.02)


def test_scores_that_differ_only_by_rounding_have_an_interval():
    same = stats.mean_interval([0.1 + 0.2, 0.3] * 10, range(20))
    assert same.low < 0.25 < 0.35 < same.high


def test_mcnemar_by_hand():
    first, second = [1] * 8 + [0] * 2 + [1] * 5, [0] * 8 + [1] * 2 + [1] * 5
    # 8 against 2 discordant pairs: 2 · P(X ≤ 2), X ~ Binomial(10, ½) = 2 · 56/1024
    assert stats.mcnemar(first, second) == pytest.approx(112 / 1024)
    assert stats.mcnemar(first, first) == 1


def test_the_permutation_test_keeps_its_level_and_sees_a_difference():
    rng = np.random.default_rng(5)
    false_alarms = []
    for trial in range(300):
        first, second = (rng.random(30) < 0.5).astype(float), (rng.random(30) < 0.5).astype(float)
        false_alarms.append(stats.permutation_test(first, second, range(30), draws=299, seed=trial) <= 0.05)
    assert np.mean(false_alarms) <= 0.08
    assert stats.permutation_test([1] * 20, [0] * 20, range(20)) < 0.001


def test_holm_by_hand():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_the_smallest_effect_is_seen_about_four_times_in_five():
    n, spread = 40, 0.5
    effect = stats.smallest_effect(n, spread)
    rng = np.random.default_rng(6)
    seen = [
        stats.permutation_test(rng.normal(effect, spread, n), np.zeros(n), range(n), draws=399, seed=trial) <= 0.05 for trial in range(300)
    ]
    assert 0.72 <= np.mean(seen) <= 0.88


def test_mismatched_lengths_are_refused():
    with pytest.raises(ValueError, match="2 scores and 3 facts"):
        stats.mean_interval([1, 0], [1, 2, 3])


def test_unpaired_difference_by_hand():
    same = stats.unpaired_difference_interval([1, 1, 0, 0] * 10, range(40), [1, 0] * 20, range(40))
    assert same.value == 0 and same.low < 0 < same.high and same.n == 80
    apart = stats.unpaired_difference_interval([1] * 30 + [0] * 10, range(40), [0] * 35 + [1] * 5, range(40))
    assert apart.value == pytest.approx(0.625) and apart.low > 0.4


def test_macro_f1_is_that_of_scikit_learn_and_its_interval_holds_it():
    from sklearn.metrics import f1_score

    draw = np.random.default_rng(3)
    gold = draw.choice(list("abcd"), size=120, p=[0.4, 0.3, 0.2, 0.1])
    said = np.where(draw.random(120) < 0.7, gold, draw.choice(list("abcd"), size=120))
    estimate = stats.macro_f1_interval(said, gold)
    assert estimate.value == pytest.approx(f1_score(gold, said, average="macro")) and estimate.low < estimate.value < estimate.high
    assert estimate.high - estimate.low < 0.25
    perfect = stats.macro_f1_difference_interval(gold, said, gold)
    assert perfect.value == pytest.approx(1 - estimate.value) and perfect.low > 0
    assert stats.macro_f1_difference_interval(said, said, gold).value == 0
    nothing, everything = stats.macro_f1_interval(["none"] * len(gold), gold), stats.macro_f1_interval(gold, gold)
    assert nothing.value == nothing.low == 0 < nothing.high and everything.low < 1 == everything.value == everything.high
    invented = np.where(said == "a", "z", said)  # a class that does not exist counts against the class it hides
    assert stats.macro_f1_interval(invented, gold).value < estimate.value
