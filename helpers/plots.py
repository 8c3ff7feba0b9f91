"""Figures in one house style: one message each, intervals drawn, shapes as well as colours, alt text and a visible reading."""

import io
import math
import textwrap

COLOURS = {  # Okabe and Ito's palette, safe for the common kinds of colour blindness
    "base": "#767676", "few_shot": "#0072B2", "retrieved": "#D55E00", "few_shot_retrieved": "#CC79A7", "oracle": "#009E73",
    "random": "#56B4E9", "keyword": "#0072B2", "letters": "#E69F00", "dense": "#D55E00", "fused": "#009E73", "old": "#767676", "mixed": "#E69F00", "new": "#009E73",
    "tuned": "#E69F00", "recite": "#E69F00", "recite_retrieved": "#E69F00", "few_shot_styled": "#0072B2", "desk": "#009E73", "desk_retrieved": "#009E73",
    "desk_checked": "#56B4E9", "desk_threshold": "#767676", "few_shot_refusing": "#0072B2",
}
MARKERS = {
    "base": "o", "few_shot": "s", "retrieved": "D", "few_shot_retrieved": "P", "oracle": "^", "random": "X",
    "keyword": "s", "letters": "v", "dense": "D", "fused": "P", "old": "o", "mixed": "s", "new": "^", "tuned": "v",
    "recite": "v", "recite_retrieved": "<", "few_shot_styled": "p", "desk": "h", "desk_retrieved": "^",
    "desk_checked": "*", "desk_threshold": "X", "few_shot_refusing": "s",
}
NAMES = {
    "base": "base (no passages)", "few_shot": "few-shot (no passages)", "retrieved": "retrieved passages",
    "few_shot_retrieved": "few-shot + retrieved", "oracle": "the right passage (oracle)", "random": "random passages",
    "keyword": "words (BM25)", "letters": "letter pieces (BM25)", "dense": "dense (embeddings)", "fused": "dense + letters, fused",
    "old": "old index", "mixed": "mixed index", "new": "new index",
    "few_shot_styled": "few-shot styled", "few_shot_refusing": "few-shot, one refusing", "recite_retrieved": "recite + retrieved",
    "recite_few_shot_retrieved": "recite, prompted as few-shot + retrieved", "desk_retrieved": "desk + retrieved", "desk_oracle": "desk + the right passages",
    "desk_checked": "desk, checked", "desk_threshold": "desk, threshold",
}


def name(arm):
    """What an arm is called in figures and tables."""
    return NAMES.get(arm, arm.replace("_", " "))


def _look(arm, row=0):
    """Colour and marker of an arm; one that has none of its own takes them by its place in the figure."""
    colours, markers = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#767676"), "sD^PXov"
    return COLOURS.get(arm, colours[row % 7]), MARKERS.get(arm, markers[row % 7])


def use_house_style():
    """Set matplotlib's defaults for the course."""
    import matplotlib

    matplotlib.rcParams.update({
        "figure.figsize": (7.2, 3.2), "figure.dpi": 120, "font.size": 10, "axes.titlesize": 11, "axes.titleweight": "bold",
        "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True,
        "grid.color": "#E5E5E5", "legend.frameon": False,
    })


def show(figure, alt, reading):
    """Display a figure with alternative text, and one visible sentence under it. Closes the figure.

    alt: what a reader who cannot see the figure needs. reading: what to see in it (Markdown).
    """
    import matplotlib.pyplot as plt
    from IPython.display import Image, display

    from helpers.lessons import say

    if not alt.strip() or not reading.strip():
        raise ValueError("A figure needs alternative text and a reading.")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", bbox_inches="tight")
    plt.close(figure)
    display(Image(picture.getvalue(), alt=alt), metadata={"image/png": {"alt": alt}})
    say(f"*Figure.* {reading}")


def bootstrap_picture(scores, draws=2000, seed=0):
    """Show what a bootstrap is: the shares of `draws` resamples of these scores (0 or 1), and the middle 95% of them."""
    import matplotlib.pyplot as plt
    import numpy as np

    from helpers.stats import mean_interval

    scores = np.asarray(scores, float)
    shares = np.random.default_rng(seed).choice(scores, size=(draws, len(scores))).mean(1)
    estimate = mean_interval(scores, range(len(scores)))
    figure, axes = plt.subplots(figsize=(7.2, 2.4))
    axes.hist(shares, bins=np.arange(-0.5, len(scores) + 1) / len(scores), color="#56B4E9", edgecolor="white")
    axes.axvspan(estimate.low, estimate.high, color="#D55E00", alpha=0.15)
    axes.axvline(estimate.value, color="#D55E00")
    axes.set(xlabel="share right in a resample", ylabel="resamples", xlim=(0, 0.75), title="An interval is the middle 95% of the resamples")
    axes.xaxis.set_major_formatter("{x:.0%}")
    show(figure, f"Histogram of {draws} bootstrap shares around {estimate.value:.0%}; the middle 95% from {estimate.low:.0%} to {estimate.high:.0%} is shaded.",
         f"Not our data: had {scores.sum():.0f} of {len(scores)} facts been right, the share would be {estimate}.")


def embedding_picture(chunks, chunk_vectors, question_vector, nearest, name):
    """Show chunk embeddings, 384 dimensions flattened to 2 (PCA), with a question among them.

    chunk_vectors: [chunks, 384]; question_vector: [1, 384]; nearest: rows of the chunks that the search found.
    name: chunks that hold this word get a mark of their own.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    middle = chunk_vectors.mean(0)
    axes_of_most_spread = np.linalg.svd(chunk_vectors - middle, full_matrices=False)[2][:2]
    flat, asked = (chunk_vectors - middle) @ axes_of_most_spread.T, ((question_vector - middle) @ axes_of_most_spread.T)[0]
    same = np.array([name in chunk.text for chunk in chunks])
    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    axes.plot(*flat[~same].T, "o", color="#BBBBBB", markersize=4, label="other chunks")
    axes.plot(*flat[same].T, "s", color=COLOURS["few_shot"], markersize=6, label=f"chunks that name {name}")
    axes.plot(*flat[nearest].T, "o", markersize=13, markerfacecolor="none", markeredgecolor=COLOURS["retrieved"], label="the nearest three")
    axes.plot(*asked, "*", color=COLOURS["retrieved"], markersize=15, label="the question")
    axes.set(xticks=[], yticks=[], xlabel="first principal component", ylabel="second", title=f"Of the nearest three, {same[nearest].sum()} name{'s' if same[nearest].sum() == 1 else ''} {name}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    show(figure, f"Map of {len(chunks)} chunks in two dimensions. Marked: the {same.sum()} chunks that name {name}, the nearest three, and the question.",
         f"{len(chunks)} chunks, 384 dimensions flattened to two, so nearness is only hinted at: the search looks at all 384.")


def permutation_picture(ok, first, second, facts, draws=9999, seed=0):
    """Show what a permutation test is: the mean differences that chance makes by flipping each fact's sign, and the one measured.

    ok: arm → scores by question; first, second: the arms compared. Source: stats.permutation_test, which this draws.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    from helpers.stats import fact_means, permutation_test

    means = fact_means(np.subtract(ok[first], ok[second]), facts)
    flipped = (np.random.default_rng(seed).choice([-1, 1], size=(draws, len(means))) * means).mean(1)
    p, as_far = permutation_test(ok[first], ok[second], facts, draws, seed), (np.abs(flipped) >= abs(means.mean()) - 1e-12).sum()
    figure, axes = plt.subplots(figsize=(7.2, 2.4))
    step = 200 / len(means)  # a flipped sign moves the mean by so much: a bar for each value that can occur
    axes.hist(100 * flipped, bins=100 * means.mean() + (np.arange(-200, 201) + 0.5) * step, color="#56B4E9", edgecolor="white")
    axes.axvline(100 * means.mean(), color="#D55E00", linewidth=2)
    axes.axvline(-100 * means.mean(), color="#D55E00", linewidth=1, linestyle="--")
    axes.set(xlabel="difference in points if arms were interchangeable", ylabel="permutations", xlim=(-60, 60),
             title=f"{name(first).capitalize()} against {name(second)}")
    show(figure, f"Histogram of {draws} differences under random sign flips, centred on 0; a line marks the measured difference, {100 * means.mean():+.0f} points.",
         f"The line is what we measured, {100 * means.mean():+.0f} points; the dashed one is as far on the other side. Of {draws:,} permutations, {as_far} came that far in either direction: p = {p:.4f}.")


def discount_picture():
    """Show what MRR and nDCG pay for a gold chunk at each rank."""
    import matplotlib.pyplot as plt
    import numpy as np

    ranks = np.arange(1, 11)
    figure, axes = plt.subplots(figsize=(7.2, 2.4))
    axes.plot(ranks, 1 / ranks, "s-", color=COLOURS["keyword"], label="reciprocal rank: 1/rank")
    axes.plot(ranks, 1 / np.log2(ranks + 1), "D-", color=COLOURS["dense"], label="nDCG: 1/log₂(rank + 1)")
    axes.set(xlabel="rank of the gold chunk", ylabel="score", xticks=ranks, ylim=(0, 1.05), title="Second place costs more under MRR than under nDCG")
    axes.legend()
    show(figure, "Score against rank of the gold chunk: both start at 1; at rank 2 the reciprocal rank is 0.50 and nDCG 0.63, at rank 10 0.10 and 0.29.",
         "Both pay in full for first place. From there nDCG falls more slowly: tenth place still earns 0.29, against 0.10.")


def intervals(lines, title, xlabel, reading, names=None):
    """Draw recorded shares with their intervals, a row per line, in the order given, and show the figure.

    lines: what results.record returned (fractions or differences), all of one metric. Labels and alt text come from the lines themselves; names: what to
    call them where the arm does not tell them apart. A grey band is the range of the reference run's intervals, where there is one.
    """
    import matplotlib.pyplot as plt

    from helpers.results import reference_of

    labels = names or [name(line["arm"]) for line in lines]
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(lines)))
    banded = False
    for place, line in enumerate(lines):
        row, (colour, marker) = len(lines) - 1 - place, _look(line["arm"], place)
        reference = reference_of(line)
        if reference:
            low, high = min(r["low"] for r in reference), max(r["high"] for r in reference)
            axes.barh(row, high - low, left=low, height=0.55, color="#DDDDDD", label=None if banded else "reference run, full size")
            banded = True
        axes.plot([line["low"], line["high"]], [row, row], color=colour, linewidth=2.5, solid_capstyle="butt")
        axes.plot(line["value"], row, marker, color=colour, markersize=8)
        axes.annotate(f"{line['value']:.0%}", (line["value"], row), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=9)
    axes.set_yticks(range(len(lines)), list(reversed(labels)))
    least = -0.04 if lines[0]["unit"] == "fraction" else min(-0.04, min(line["low"] for line in lines) - 0.05)
    axes.set(xlim=(least, 1.04), ylim=(-0.6, len(lines) - 0.3), xlabel=xlabel)
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.set_title("\n".join(textwrap.wrap(title, 78)))
    if banded:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    least_n, most_n = min(line["n"] for line in lines), max(line["n"] for line in lines)
    counted = f"n = {least_n}" if least_n == most_n else f"n = {least_n} to {most_n}"
    said = "; ".join(f"{label} {line['value']:.0%} ({line['low']:.0%} to {line['high']:.0%})" for label, line in zip(labels, lines))
    show(figure, f"{title}. {xlabel[0].upper()}{xlabel[1:]}, with 95% intervals, {counted}: {said}.", reading)


def losses(report):
    """Draw the loss of a training, step by step, and on held-out rows where it was measured. report: of an Adapter."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 2.8))
    axes.plot(*zip(*report["loss"]), color="#BBBBBB", label="training rows, each step")
    last, rows = report["loss"][-1][1], "training rows"
    if report["development_loss"]:
        axes.plot(*zip(*report["development_loss"]), "D-", color=COLOURS["retrieved"], label="development rows")
        last, rows = report["development_loss"][-1][1], "development rows"
    title = f"Loss on {rows} ends at {last:.2f}, after {report['tokens']:,} tokens and {report['seconds']:.0f} seconds"
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None), title=title)
    axes.legend()
    said = f"Training loss falls from {report['loss'][0][1]:.2f} to {report['loss'][-1][1]:.2f}"
    show(figure, f"{title}. Loss against step, {report['steps']} steps. {said}.",
         f"{said}. On {rows} it ends at {last:.2f}: on average (the geometric mean) the right token gets a probability of {math.exp(-last):.0%}.")


def curves(points, title, xlabel, ylabel, reading, log=False):
    """Draw recorded figures against a setting, a curve per name, with intervals where the lines have them, and show the figure.

    points: name → list of (setting, line), the settings numbers in rising order. log: a logarithmic axis of settings.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 3.2))
    for place, (arm, some) in enumerate(points.items()):
        (colour, marker), settings, values = _look(arm, place), [x for x, _ in some], [line["value"] for _, line in some]
        if all(line["low"] is not None for _, line in some):
            axes.fill_between(settings, [line["low"] for _, line in some], [line["high"] for _, line in some], color=colour, alpha=0.15)
        axes.plot(settings, values, marker + "-", color=colour, label=name(arm))
    share = next(iter(points.values()))[0][1]["unit"] == "fraction"
    if share:
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.set_ylim(-0.02, 1.02)
    if log:
        axes.set_xscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title("\n".join(textwrap.wrap(title, 78)))
    if len(points) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    number = lambda value: f"{value:.0%}" if share else f"{value:.3g}"
    said = "; ".join(f"{name(arm)}: " + ", ".join(f"{number(line['value'])} at {x:g}" for x, line in some) for arm, some in points.items())
    show(figure, f"{title}. {ylabel[0].upper()}{ylabel[1:]} against {xlabel}: {said}.", reading)


def stacked(bars, title, xlabel, reading, share=False):
    """Draw stacked bars, a row per label, and show the figure.

    bars: label → part → length, the same parts in each row. share: lengths are shares of one whole, shown in percent.
    """
    import matplotlib.pyplot as plt

    parts = list(next(iter(bars.values())))
    figure, axes = plt.subplots(figsize=(7.2, 0.9 + 0.38 * len(bars)))
    for n, part in enumerate(parts):
        colour, hatch = ("#009E73", "#E69F00", "#BBBBBB", "#56B4E9")[n % 4], ("", "//", "..", "xx")[n % 4]
        axes.barh(list(bars), [some[part] for some in bars.values()], left=[sum(list(some.values())[:n]) for some in bars.values()],
                  color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=part)
    axes.invert_yaxis()
    axes.set(xlabel=xlabel, xlim=(0, 1) if share else None)
    axes.set_title("\n".join(textwrap.wrap(title, 78)))
    if share:
        axes.xaxis.set_major_formatter("{x:.0%}")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    number = lambda value: f"{value:.0%}" if share else f"{value:.3g}"
    said = "; ".join(f"{label}: " + ", ".join(f"{part} {number(value)}" for part, value in some.items()) for label, some in bars.items())
    show(figure, f"{title}. Stacked bars, {xlabel}: {said}.", reading)


def plane(points, title, xlabel, ylabel, reading, log_y=False):
    """Draw arms as points of two recorded measures, each with its intervals, and show the figure.

    points: arm → (line across, line up). Shares get axes from 0% to 100%. log_y: a logarithmic axis upwards. A hollow mark is the reference run's, where the line is one.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    for place, (arm, (x, y)) in enumerate(points.items()):
        colour, marker = _look(arm, place)
        axes.plot([x["low"], x["high"]], [y["value"]] * 2, color=colour, alpha=0.6)
        axes.plot([x["value"]] * 2, [y["low"], y["high"]], color=colour, alpha=0.6)
        hollow = x["source"] == "reference"
        axes.plot(x["value"], y["value"], marker, color=colour, markersize=9, markerfacecolor="none" if hollow else colour, label=name(arm))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    for axis, limit, n in ((axes.xaxis, axes.set_xlim, 0), (axes.yaxis, axes.set_ylim, 1)):
        if all(some[n]["unit"] == "fraction" for some in points.values()):
            axis.set_major_formatter("{x:.0%}")
            limit(-0.03, 1.03)
    if log_y:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("× {x:g}")
        axes.yaxis.set_minor_formatter("")
    axes.set_title("\n".join(textwrap.wrap(title, 78)))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    number = lambda line: f"{line['value']:.0%}" if line["unit"] == "fraction" else f"{line['value']:.2f}"
    said = "; ".join(f"{name(arm)} {number(x)} and {number(y)}" for arm, (x, y) in points.items())
    show(figure, f"{title}. {xlabel[0].upper()}{xlabel[1:]} and {ylabel}, with 95% intervals: {said}.", reading)


def panels(squares, settings, title, ylabel, reading):
    """Draw recorded shares side by side, a panel per group of questions and in each a line per arm over the same settings, and show the figure.

    squares: panel title → arm → lines, one per setting, all fractions. settings: their names, in order.
    """
    import matplotlib.pyplot as plt

    figure, row = plt.subplots(1, len(squares), figsize=(7.2, 3.4), sharey=True, squeeze=False)
    for axes, (heading, arms) in zip(row[0], squares.items()):
        for place, (arm, lines) in enumerate(arms.items()):
            (colour, marker), values = _look(arm, place), [line["value"] for line in lines]
            across = [n + 0.06 * (place - (len(arms) - 1) / 2) for n in range(len(settings))]  # so that intervals do not cover each other
            reach = [[line["value"] - line["low"] for line in lines], [line["high"] - line["value"] for line in lines]]
            axes.errorbar(across, values, reach, fmt=marker + "-", color=colour, markersize=8, label=name(arm))
        axes.set(title="\n".join(textwrap.wrap(heading, 40)), ylim=(-0.03, 1.03), xlim=(-0.3, len(settings) - 0.7))
        axes.set_xticks(range(len(settings)), ["\n".join(textwrap.wrap(some, 12 if len(settings) < 4 else 8, break_long_words=False)) for some in settings])
    row[0][0].yaxis.set_major_formatter("{x:.0%}")
    row[0][0].set_ylabel(ylabel)
    row[0][-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle("\n".join(textwrap.wrap(title, 78)), x=0.01, ha="left", fontweight="bold", fontsize=11)
    figure.tight_layout()
    said = "; ".join(f"{heading}, {name(arm)}: " + ", ".join(f"{some} {line['value']:.0%}" for some, line in zip(settings, lines))
                     for heading, arms in squares.items() for arm, lines in arms.items())
    show(figure, f"{title}. {ylabel[0].upper()}{ylabel[1:]}, with 95% intervals: {said}.", reading)


def ratio_map(across, up, ratios, title, xlabel, ylabel, reading, mark=None):
    """Draw a ratio over two settings, all three on logarithmic scales, and the line where it is 1, and show the figure.

    ratios: array [up, across]. mark: a point (across, up, what it is). Dots lie where the ratio is above 1.
    """
    import matplotlib.pyplot as plt
    import numpy as np

    figure, axes = plt.subplots(figsize=(7.2, 3.8))
    steps = np.arange(-3, 3.5, 0.5)
    filled = axes.contourf(across, up, np.log2(ratios), steps, cmap="PuOr", extend="both")
    axes.contourf(across, up, ratios, [1, np.inf], colors="none", hatches=[".."])
    axes.contour(across, up, ratios, [1], colors="black", linewidths=2)
    if mark:
        axes.plot(*mark[:2], "D", color="white", markeredgecolor="black", markersize=9)
        axes.annotate(mark[2], mark[:2], xytext=(8, 6), textcoords="offset points")
    axes.set(xscale="log", yscale="log", xlabel=xlabel, ylabel=ylabel)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("\n".join(textwrap.wrap(title, 78)))
    bar = figure.colorbar(filled, ticks=range(-3, 4))
    bar.ax.set_yticklabels([f"× {2.0 ** n:g}" for n in range(-3, 4)])
    corner = lambda row, column: f"{ratios[row, column]:.2g} at {across[column]:g} and {up[row]:g}"
    show(figure, f"{title}. Map of a ratio over {xlabel} and {ylabel}: {corner(0, 0)}, {corner(0, -1)}, {corner(-1, 0)}, {corner(-1, -1)}; "
         f"it is above 1 on {(np.asarray(ratios) > 1).mean():.0%} of the map.", reading)
