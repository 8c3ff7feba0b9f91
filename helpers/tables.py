"""The tables of the lessons, each labelled from what was measured."""

import html

from helpers.lessons import predictions, say
from helpers.plots import name


def _show(rows, columns):
    """Display rows as a Markdown table, which every notebook viewer shows and reads aloud."""
    cell = lambda value: html.escape(" ".join(str(value).split()), quote=False).replace("|", "\\|").replace("[", "\\[")
    lines = [columns, [":---"] * len(columns), *([cell(value) for value in row] for row in rows)]
    say("\n".join("| " + " | ".join(line) + " |" for line in lines))


def estimate(line):
    """A recorded line as text: the figure and, for shares and scores, its 95% interval in brackets."""
    if line["metric"] in ("mrr", "ndcg@10"):  # scores, not shares of anything
        return f"{line['value']:.2f} ({line['low']:.2f} to {line['high']:.2f})"
    if line["unit"] == "fraction":
        return f"{line['value']:.0%} ({line['low']:.0%} to {line['high']:.0%})"
    return f"{line['value']:.1f} {line['unit']}" if line["unit"] != "count" else f"{line['value']:.1f}"


def points(line):
    """A recorded difference of shares as text: signed points of a hundred, with the 95% interval."""
    return f"{100 * line['value']:+.0f} points (95% interval {100 * line['low']:+.0f} to {100 * line['high']:+.0f})"


def replies(questions, texts):
    """Questions beside the replies and the right answers."""
    _show([(q.question, text, q.answers[0]) for q, text in zip(questions, texts)], ["question", "reply", "right answer"])


def ranking(question, chunks, scores):
    """The chunks a search found, best first, with their scores."""
    say(f"*{question}*")
    _show([(rank, f"{score:.2f}", chunk.text) for rank, (chunk, score) in enumerate(zip(chunks, scores), 1)], ["rank", "score", "chunk"])


def answer(given):
    """An Answer of rag.ask: reply, cited titles, and the milliseconds of each stage."""
    titles = [chunk.title for chunk in given.passages if chunk.id in given.citations]
    times = ", ".join(f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in given.seconds.items())
    say(f"**Answer:** {html.escape(given.text)}\n\n**Cites:** {'; '.join(titles) or 'nothing'}\n\n**Time:** {times}")


def figures(measured):
    """Recorded lines, arm → metric → line, as a table of arms and metrics with 95% intervals."""
    metrics = list(next(iter(measured.values())))
    _show([(name(arm), *(estimate(lines[metric]) for metric in metrics)) for arm, lines in measured.items()],
          ["", *({"mrr": "MRR", "ndcg@10": "nDCG@10"}.get(metric, metric) for metric in metrics)])


def choice(what, shares, chosen, measure):
    """Estimates of a measure by setting, with the chosen one marked."""
    _show([(name(str(setting)), share, "← chosen" if setting == chosen else "") for setting, share in shares.items()], [what, measure, ""])


def pairs(compared, ok, facts, p_values):
    """Pairs of arms: on how many facts each does better, their difference with its interval, and the p-values given."""
    import numpy as np

    from helpers.stats import difference_interval, fact_means, smallest_effect

    rows = []
    for (first, second), p in zip(compared, p_values):
        means = fact_means(np.subtract(ok[first], ok[second]), facts)
        gap = difference_interval(ok[first], ok[second], facts)
        points = f"{100 * gap.value:+.0f} ({100 * gap.low:+.0f} to {100 * gap.high:+.0f})"
        visible = f"{100 * smallest_effect(len(means), means.std(ddof=1)):.0f}"
        rows.append((name(first), name(second), (means > 0).sum(), (means < 0).sum(), points, f"{p:.3f}" if p >= 0.001 else "< 0.001", visible))
    _show(rows, ["arm", "against", "facts better", "facts worse", "difference, points", "p (Holm)", "80% power from"])


def hits(by_hit, oracle_scores, hit, facts):
    """Shares right when the gold chunk was among the passages and when it was not, beside what the oracle arm made of the same questions.

    by_hit: "hit", "miss" → line; oracle_scores, hit, facts: by question, the oracle's score, whether the gold chunk was found, the fact.
    """
    from helpers.stats import mean_interval

    had = {"hit": True, "miss": False}
    rows = []
    for arm, line in by_hit.items():
        mine = [i for i, found in enumerate(hit) if found == had[arm]]
        rows.append((arm, len(mine), estimate(line), mean_interval([oracle_scores[i] for i in mine], [facts[i] for i in mine])))
    _show(rows, ["gold chunk", "questions", "right with what was retrieved", "right with the gold chunk (oracle)"])


def trace(question, passages, reply, gold):
    """One question from the passages to the reply, so that the cause of a wrong answer shows."""
    gold = set(gold)
    missing = gold - {chunk.id for chunk in passages}
    cause = ("The passage is right: the model misread it." if not missing else "The gold chunk is not there: the retriever missed." if missing == gold
             else f"{len(missing)} of {len(gold)} gold chunks are not there: the retriever missed.")
    shown = "\n".join(f"> [{n}] {chunk.text}\n>" for n, chunk in enumerate(passages, 1))
    say(f"**Asked:** {question.question}\n\n{shown}\n\n**Replied:** {html.escape(reply)} · **right:** {question.answers[0]} · **{cause}**")


def rows(lines, columns):
    """Rows of text under column titles."""
    _show(lines, columns)


def linked(lines, columns):
    """Rows of Markdown, which may hold links, under column titles."""
    cell = lambda value: " ".join(str(value).split()).replace("|", "\\|")
    say("\n".join("| " + " | ".join(map(cell, line)) + " |" for line in (columns, [":---"] * len(columns), *lines)))


def verdicts(ids):
    """Claims with the verdict that their rule gives: on the reference run where it was measured, and on this small run, which decides nothing.

    The last column is the smallest effect that the full size was planned to tell from none, with the number of facts planned.
    """
    from helpers import claims, results

    known, run, reference = claims.load_claims(), results.lines(), results.lines("reference")
    said = lambda claim, records: (word := claims.verdict(claim, records)) + (f": {claim.condition}" if word == "holds with a condition" else "")
    sizes = {"fraction": lambda effect: f"{100 * effect:.0f} points", "ratio": lambda effect: f"a factor of {1 + effect:.2f}"}
    power = lambda claim: (f"{sizes.get(claim.unit, lambda effect: f'{effect:.1f} {claim.unit}')(claim.smallest_effect)} (n = {claim.planned_n})"
                           if claim.smallest_effect else "–")
    _show([(f"{i} · {known[i].claim}", said(known[i], reference), said(known[i], run), power(known[i])) for i in ids],
          ["claim", "verdict (reference run, full size)", "what this small run alone would say", "smallest effect the full size was planned to show"])


def bills(trained):
    """What trainings cost, by name of the adapter: rows, tokens, time, speed, memory and size, as their reports have it."""
    cost = lambda r: (f"{r['rows']:,}", f"{r['tokens']:,}", f"{r['seconds']:.0f} s", f"{r['tokens_per_s']:.0f}", f"{r['peak_gb']:.1f} GB")
    _show([(name, *cost(one.report), f"{one.megabytes:.1f} MB") for name, one in trained.items()],
          ["adapter", "rows", "tokens", "trained in", "tokens per second", "most memory", "size on disk"])


def two_columns(rows, columns=("", "")):
    """A dictionary as a table of two columns."""
    _show(list(rows.items()), list(columns))


def course_map():
    """All notebooks of the course, lessons with their labs, and the lessons' minutes of computing (bf16, fp32)."""
    import json

    from helpers import doors

    here, lines = doors.COURSE / "notebooks", ["| lesson | minutes | its labs, one question each |", "| :--- | :--- | :--- |"]
    for path in sorted(here.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        lines.append(f"| [{doors.title(notebook)}]({path.name}) | {doors.minutes_said(notebook)} | {doors.lab_links(path, here)} |")
    say("\n".join(lines))


def guesses():
    """The learner's predictions of this and earlier lessons; says so when there are none."""
    kept = predictions()
    if not kept:
        return say("You made no predictions this time. Before the next lesson, write a number first: being wrong on record is what sticks.")
    number = lambda guess, name: f"{guess[name]:.3g} {guess['unit']}".strip() if name in guess else "–"
    _show([(guess["question"], number(guess, "guess"), number(guess, "measured")) for guess in kept.values()],
          ["you were asked", "you guessed", "it came out at"])
