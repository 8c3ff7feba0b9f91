"""What has been measured so far: this machine's records and the reference run's, of the present data, never mixed in one figure.

A figure is named as the claims' rules name it: "tune.update reindex all seconds" is experiment, arm, group and metric.
"""

from dataclasses import dataclass, field

from helpers import CourseError, doors, results

LABEL = {"run": "this run", "reference": "reference"}
DEFINED = ("explained",)  # metrics that no run could make otherwise
OWN = "04_decision_factors"  # computes its lines from others: they are no evidence for themselves


@dataclass(frozen=True)
class Evidence:
    """Records by source ("run", "reference") and name, one line per seed; `refused`: sentences on what was left out, and why."""

    by_source: dict = field(repr=False)
    refused: tuple = ()

    def find(self, name, source=None):
        """The line of a figure, of this machine where it has one, else of the reference run; None where it was measured nowhere.

        Of several seeds: the mean of the values, from the lowest end of the intervals to the highest. source: only from there.
        """
        for where in (source,) if source else ("run", "reference"):
            if some := self.by_source[where].get(name):
                return joined(some)
        return None

    def together(self, *names):
        """Name → line for figures that go into one computed figure: all of this machine or all of the reference run. {} where neither has all."""
        for where in ("run", "reference"):
            if all(name in self.by_source[where] for name in names):
                return {name: joined(self.by_source[where][name]) for name in names}
        return {}

    def compared(self, *options):
        """The lines of the first option that was measured, or as many times None. An option is several names: the first two were measured side
        by side and have to come from one source, the rest comes from there or is None.
        """
        for names in options:
            if some := self.together(*names[:2]):
                source = some[names[0]]["source"]
                return [*some.values(), *(self.find(name, source) for name in names[2:])]
        return [None] * len(options[0])

    def records(self, source):
        """All lines of a source, as claims.verdict takes them."""
        return [line for some in self.by_source[source].values() for line in some]


def load(run=None, reference=None):
    """The Evidence of two results files (default: this machine's and the course's). A file that is not there is an empty one.

    Left out, each with a sentence: a damaged file, lines of other data, lines that another model than today's wrote here, lines with a bad value.
    """
    from helpers import weights, world

    by_source, refused = {}, []
    for source, path in (("run", run), ("reference", reference)):
        try:
            lines = [line for line in results.lines(source, path) if line["notebook"] != OWN]
        except CourseError as problem:
            lines, refused = [], [*refused, f"None of this file is used. {problem}"]
        wanted = {"data_version": world.data_version(), **({"model": weights.model_name()} if source == "run" else {})}
        for name, value in wanted.items():
            foreign = [line for line in lines if line[name] != value]
            if foreign:
                what = {"data_version": "data", "model": "a model"}[name]
                refused.append(f"Lines of {what} other than today's ({foreign[0][name]}, not {value}; {LABEL[source]}): {len(foreign):,}. They are not mixed "
                               "in: run their notebooks again, or set COURSE_DATA to a fresh folder.")
            lines = [line for line in lines if line[name] == value]
        good = [line for line in lines if isinstance(line["value"], (int, float))]
        if len(good) < len(lines):
            refused.append(f"Lines whose value is no number ({LABEL[source]}): {len(lines) - len(good):,}. Delete them from the file.")
        by_source[source] = {}
        for line in good:
            by_source[source].setdefault(" ".join(line[part] for part in ("experiment", "arm", "group", "metric")), []).append(line)
    return Evidence(by_source, tuple(refused))


def joined(some):
    """Lines of one figure, one per seed, as one line: the mean, from the lowest end of the intervals to the highest; `seeds` says how many."""
    ends = {end: [line["value"] if line[end] is None else line[end] for line in some] for end in ("low", "high")}
    bare = all(line["low"] is None for line in some)
    return {**some[0], "value": sum(line["value"] for line in some) / len(some), "low": None if bare else min(ends["low"]),
            "high": None if bare else max(ends["high"]), "seeds": len(some)}


def estimate(line):
    """A line's figure as a stats.Estimate, or as a plain number where it has no interval: what results.record takes."""
    from helpers.stats import Estimate

    return line["value"] if line["low"] is None else Estimate(*(line[part] for part in ("value", "low", "high", "n")))


def figure(line):
    """A line as text: the figure with its interval ("by definition" where it can have none), or "not measured" for None."""
    if line is None:
        return "not measured"
    number = {"fraction": "{:.0%}", "difference": "{:+.0%}", "ratio": "{:.2f}", "s": "{:.1f} s", "ms": "{:.0f} ms", "USD": "${:.3g}"}.get(line["unit"], "{:.3g}")
    said = number.format(line["value"]).replace("%", " points" if line["unit"] == "difference" else "%")
    if line["metric"] in DEFINED:
        return f"{said} by definition"
    if line["low"] is None:
        return said
    low, high = (number.split(" ")[0].format(line[end]).replace("%", "" if line["unit"] == "difference" else "%") for end in ("low", "high"))
    return f"{said} ({low} to {high})"


def linked(line):
    """The same as Markdown, with a link to the notebook that measured it and the word "this run" or "reference". For pages in notebooks/."""
    where = line and page(line["notebook"])
    return figure(line) + (f" [{LABEL[line['source']]}]({where})" if where else f" ({LABEL[line['source']]})" if line else "")


def page(notebook):
    """Where a notebook ("02_fine_tuning", "labs/rules", "rules") lies, seen from notebooks/; None where there is none."""
    paths = {path.stem: path.relative_to(doors.COURSE / "notebooks").as_posix() for path in doors.notebooks()}
    return paths.get(notebook.rpartition("/")[2])
