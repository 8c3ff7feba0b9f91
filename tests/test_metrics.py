"""Metrics against cases worked by hand and against reference implementations."""

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score
from torchmetrics.text import SQuAD

from helpers import metrics


@pytest.mark.parametrize("reply, answers, expected", [
    ("The limit is 35 mg a day.", ["35 mg"], 1.0),
    ("35mg [2]", ["35 mg"], 1.0),
    ("It is 135 mg.", ["35 mg"], 0.0),
    ("It is 35.5 mg.", ["35 mg"], 0.0),
    ("It is 3.5 mg.", ["5 mg"], 0.0),
    ("Every 19 hours.", ["9 hours"], 0.0),
    ("Every NINE hours!", ["9 hours", "nine hours"], 1.0),
    ("1,200 marks", ["1200 marks"], 1.0),
    ("Keep it at 17°C.", ["17 °C"], 1.0),
    ("a grey-blue one", ["grey blue"], 1.0),
    ("", ["35 mg"], 0.0),
    ("-5 °C", ["5 °C"], 0.0), ("−5 °C", ["5 °C"], 0.0), ("minus 5 °C", ["5 °C"], 0.0), ("keep at 5° C", ["5 °C"], 1.0), ("5 ºC", ["5 °C"], 1.0),
    ("forty-five degrees", ["five degrees"], 0.0), ("thirty seven hours", ["seven hours"], 0.0),
    ("one hundred and fourteen hours", ["fourteen hours"], 0.0), ("12-14 hours", ["14 hours"], 0.0), ("12–14 hours", ["14 hours"], 0.0),
    (".5 mg", ["5 mg"], 0.0), ("1/5 mg", ["5 mg"], 0.0), ("8.50 mg", ["8.5 mg"], 1.0), ("28.0 mg", ["28 mg"], 1.0), ("280 mg", ["28 mg"], 0.0),
    ("thirty-five milligrams", ["thirty-five milligrams"], 1.0), ("a 9-hour gap", ["9 hour"], 1.0), ("11.40 marks.", ["11.4 marks"], 1.0),
    ("20 mg", ["2 mg"], 0.0), ("100 marks", ["1 marks"], 0.0),
    ("35 mg", [], 0.0),
])
def test_contains_by_hand(reply, answers, expected):
    assert metrics.contains(reply, answers) == expected


def test_exact_match_by_hand():
    assert metrics.exact_match("The 35 mg.", ["35 mg"]) == 1
    assert metrics.exact_match("35 mg [1]", ["35 mg"]) == 1
    assert metrics.exact_match("35 mg a day", ["35 mg"]) == 0


def test_token_f1_by_hand():
    # said: at, cabinet, 6; gold: cabinet, 6 → precision 2/3, recall 1, F1 0.8
    assert metrics.token_f1("at cabinet 6", ["cabinet 6", "the attic"]) == pytest.approx(0.8)


@pytest.mark.parametrize("reply, gold", [
    ("The Thornbeck ward, on Tuesdays", "the Thornbeck ward"), ("an apple", "apple"), ("grey blue tablets", "blue tablets grey"),
    ("nothing here", "something else"), ("twice twice a day", "twice a day"), ("cabinet six!", "Cabinet, six."),
])
def test_f1_and_exact_match_agree_with_squad(reply, gold):
    squad = SQuAD()
    squad.update({"id": "1", "prediction_text": reply}, {"id": "1", "answers": {"answer_start": [0], "text": [gold]}})
    reference = squad.compute()
    assert metrics.token_f1(reply, [gold]) == pytest.approx(reference["f1"].item() / 100)
    assert metrics.exact_match(reply, [gold]) == reference["exact_match"].item() / 100


def test_ranking_measures_by_hand():
    ranked, gold = ["c", "a", "d", "b"], ["a", "b"]
    assert metrics.recall_at_k(ranked, gold, 1) == 0
    assert metrics.recall_at_k(ranked, gold, 3) == 0.5
    assert metrics.reciprocal_rank(ranked, gold) == 0.5
    assert metrics.reciprocal_rank(ranked, ["x"]) == 0
    # gains at ranks 2 and 4, best possible at ranks 1 and 2
    expected = (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    assert metrics.ndcg_at_k(ranked, gold, 10) == pytest.approx(expected)


def test_ranking_measures_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    for _ in range(50):
        names = [f"c{i}" for i in range(30)]
        scores = rng.permutation(30).astype(float)
        gold = rng.choice(names, size=rng.integers(1, 4), replace=False).tolist()
        ranked = [names[i] for i in np.argsort(-scores)]
        relevant = np.array([[float(name in gold) for name in names]])
        assert metrics.ndcg_at_k(ranked, gold, 10) == pytest.approx(ndcg_score(relevant, [scores], k=10))
        one = np.array([[float(name == gold[0]) for name in names]])
        assert metrics.reciprocal_rank(ranked, gold[:1]) == pytest.approx(label_ranking_average_precision_score(one, [scores]))


def test_chance_recall_matches_random_rankings():
    rng = np.random.default_rng(2)
    names = [f"c{i}" for i in range(40)]
    hits = [metrics.recall_at_k(rng.permutation(names).tolist(), ["c7"], 3) for _ in range(4000)]
    assert np.mean(hits) == pytest.approx(metrics.chance_recall(3, 40), abs=0.012)
    assert metrics.chance_recall(5, 3) == 1


def test_in_a_comparison_the_first_name_decides():
    assert metrics.contains("Brenvato", ["Brenvato"], wrong=["Brenvado"]) == 1
    assert metrics.contains("Brenvado, not Brenvato", ["Brenvato"], wrong=["Brenvado"]) == 0
    assert metrics.contains("Brenvato, longer than Brenvado", ["Brenvato"], wrong=["Brenvado"]) == 1


def test_a_bare_number_counts_only_without_a_unit():
    assert metrics.contains("There are 9.", ["cabinet 9", "9"]) == 1 and metrics.contains("In 9 [1]", ["cabinet 9", "9"]) == 1
    assert metrics.contains("Take 9 mg", ["cabinet 9", "9"]) == 0 and metrics.contains("every 9 hours", ["9"]) == 0


@pytest.mark.parametrize("reply, refused", [
    ("I'm not sure what to say.", 1), ("The passage does not say.", 1), ("I don’t know", 1), ("It isn't stated in the passages", 1),
    ("Sorry, I cannot tell", 1), ("28 mg [1]", 0), ("no more than 28 mg", 0), ("not with food", 0), ("do not take it with rhubarb", 0),
])
def test_refusals_are_told_from_answers(reply, refused):
    assert metrics.refuses(reply) == refused
