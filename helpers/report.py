"""The report of a run: one page beside its results that holds all it shows, for people who open no notebook.

Its tables are filled as lesson 4 fills them, from this run's figures and the reference run's; its pictures are outputs of the executed notebooks.
"""

import datetime
import html
import os
import re
from urllib.parse import quote

from helpers import CourseError, claims, doctor, doors, evidence, ledger, pages, quantities, results, weights, world

INVENTED = "The Alder Valley Medicines Desk, its medicines and every fact about them are invented. Nothing here is medical advice."
COST = [f"decide.cost {way} first_month usd" for way in quantities.ARMS]
EXPLAINED = [f"decide.debug {arm} all explained" for arm in quantities.ARMS.values()]


def write(folder, ran):
    """Write report.html into the folder of a run, which has its results.jsonl already. ran: (path, executed notebook, seconds) of each notebook.

    Written beside its place first, then renamed. Raises CourseError where the folder cannot be written.
    """
    path, text = folder / "report.html", build(folder / "results.jsonl", ran)
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    except OSError as problem:
        raise CourseError(f"The report could not be written to {path} ({problem.strerror}): give --out a folder that can be written.") from problem


def build(file, ran):
    """The report as HTML. file: the run's results.jsonl; ran: see write."""
    measured, lines, links = evidence.load(run=file), recorded(file), addresses(ran)
    gathered, own = ledger.gather(measured, []), [line for line in lines if line["notebook"] == evidence.OWN and line["unit"] != "verdict"]
    lesson = "in this run; its page says from which figures" if own else "which did not run here: those two are the reference run's"
    took = f"Notebooks that ran: {len(ran)}, in {sum(seconds for *_, seconds in ran):.0f} seconds"
    return pages.page("RAG or fine-tuning? Report of a run", [
        f"<p><em>{INVENTED}</em></p>\n<h2>This run</h2>",
        pages.table("Where and how it ran", ["what", "this run"], circumstances(lines), links),
        pages.table(took, ["notebook", "seconds"], [(named(path), f"{seconds:.1f}") for path, _, seconds in ran], links),
        *(f"<p><strong>Left out.</strong> {html.escape(sentence)}</p>" for sentence in measured.refused),
        "<h2>The usual table, filled</h2>\n<p>A row has figures of this run where it measured what the row compares, else of the reference run, at full "
        f"size: each says which. Cost and transparency are computed by lesson 4, {lesson}.</p>",
        pages.table("RAG, fine-tuning, or both", ["row", "the usual words", "RAG", "fine-tuning", "hybrid"],
                    comparison(measured, own or gathered["reference"]), links),
        "<h2>The ledger of claims</h2>\n<p>Verdicts are by the reference run, at full size; <em>this machine</em> is what this run alone would say. "
        "The figure is the one that decided, with the range over all seeds.</p>",
        pages.table("Every claim of the course", ledger.COLUMNS, verdicts(gathered, own, ran), links),
        "<h2>The figures of this run</h2>", *(album(ran, links) or ["<p>The notebooks that ran drew none.</p>"]),
    ])


def recorded(file):
    """The lines this run recorded; none where the file is damaged, which evidence.load tells."""
    try:
        return results.lines("run", file)
    except CourseError:
        return []


def circumstances(lines):
    """Rows of what and text: when and where the run was, with which model, how large. lines: what it recorded."""
    machine = ", ".join(text for what, _, text in doctor.machine() if what in ("system", "processor", "memory"))
    precision = ", ".join(sorted({line["precision"] for line in lines})) or "nothing was recorded"
    size = "full: every question" if results.full_size() else "live: some of the questions"
    return [("date", f"{datetime.datetime.now():%Y-%m-%d %H:%M}"), ("machine", machine), ("language model", weights.model_name()), ("precision", precision),
            ("size", size), ("seed", results.seed()), ("data version", world.data_version()), ("figures measured", f"{len(lines):,}")]


def comparison(measured, computed):
    """Lesson 4's table as rows of Markdown. measured: an evidence.Evidence; computed: lines of lesson 4, of one source."""
    rows = [(f"**{row}**: {what}", words, *map(evidence.linked, measured.compared(*options))) for (row, what, words), options in ledger.TABLE.items()]
    found = lambda name: [line for line in computed if ledger.name_of(line) == name]
    cells = lambda names: (evidence.figure(evidence.joined(found(name)) if found(name) else None) for name in names)
    rows[3:3] = [("**cost**: first month (range of prices)", "low to start, high, highest", *cells(COST))]
    return [*rows, ("**transparency**: wrong answers explained", "high, low, high", *cells(EXPLAINED))]


def verdicts(gathered, own, ran):
    """The ledger as rows of Markdown. Claims on figures that lesson 4 computed in this run (own) have the row of its page, which knows their source."""
    head, names = "| " + " | ".join(ledger.COLUMNS) + " |", {ledger.name_of(line) for line in own}
    texts = [output.get("data", {}).get("text/markdown", "") for path, notebook, _ in ran if path.stem == evidence.OWN
             for cell in notebook.cells for output in cell.get("outputs", [])]
    rows = [re.split(r"(?<!\\) \| ", line[2:-2]) for text in texts if text.startswith(head) for line in text.splitlines()[2:]]
    its = {row[0].split(" ")[0]: row for row in rows}
    computed = [i for i, claim in claims.load_claims().items() if names & {ledger.split(test)[0] for test in claim.tests}]
    return [its.get(i, row) if (i := row[0].split(" ")[0]) in computed else row for row in ledger.entries(gathered)]


def album(ran, links):
    """The pictures of each notebook that has some, under a heading with its name, as HTML."""
    parts = []
    for path, notebook, _ in ran:
        name = pages.inline(named(path), links)
        some = [pages.figure(kind, data, alt or "A picture that its notebook does not describe.", f"{pages.inline(reading or alt, links)} ({name})")
                for kind, data, alt, reading in pictures(notebook)]
        parts += [f"<h3>{html.escape(path.stem)}</h3>", *some] if some else []
    return parts


def pictures(notebook):
    """Each picture among a notebook's outputs: media type, data, alternative text, the reading shown under it. A text that is not there is empty."""
    for cell in notebook.cells:
        shown = cell.get("outputs", [])
        for output, after in zip(shown, [*shown[1:], {}]):
            for kind in [kind for kind in ("image/png", "image/svg+xml") if kind in output.get("data", {})][:1]:
                reading = after.get("data", {}).get("text/markdown", "")
                yield kind, output.data[kind], output.metadata.get(kind, {}).get("alt", ""), reading if reading.startswith("*Figure.*") else ""


def named(path):
    """A notebook's name in Markdown, with a link to it."""
    return f"[{path.stem}]({quote(path.name)})"


def addresses(ran):
    """File name of a notebook → where a link to it leads: to the executed one beside the report, else to where the course is published."""
    where = doors.address()
    public = f"https://github.com/{where['repository']}/blob/{where['tag']}/"
    published = {path.name: public + path.relative_to(doors.COURSE).as_posix() for path in doors.notebooks()}
    return published | {quote(path.name): quote(path.name) for path, *_ in ran}
