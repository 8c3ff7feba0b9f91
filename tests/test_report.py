"""report.html of a run: what it shows and says of where it is from, that nothing outside it is needed, that text stays text."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers import CourseError, claims, doors, evidence, ledger, lessons, pages, quantities, report, results, weights, world

COURSE = Path(__file__).resolve().parent.parent
LESSON_4 = COURSE / "notebooks" / "04_decision_factors.ipynb"
LINE = {"notebook": "updating_weights", "experiment": "tune.update", "arm": "reindex", "group": "all", "metric": "new_answer", "value": 0.4, "low": 0.3,
        "high": 0.5, "n": 57, "unit": "fraction", "seed": 0, "claims": [], "source": "run", "size": "live", "model": weights.model_name(), "precision": "fp32",
        "data_version": world.data_version()}
PNG = base64.b64encode(b"\x89PNG and so on").decode()
HOSTILE = """"><script>alert('1')</script><img src=https://evil.example/x.png onerror="x"> & [a](javascript:alert(1))"""
VOID = ("meta", "img")


class Page(HTMLParser):
    """A page taken apart: (tag, attributes) in order, and its text. Fails where a tag is closed that is not the last one opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        self.close()
        assert text.startswith("<!DOCTYPE html>") and self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute twice: {tag} {attributes}"
        self.tags.append((tag, dict(attributes)))
        self.open += [] if tag in VOID else [tag]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += "" if self.open[-1:] == ["style"] else data

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


def picture(kind="image/png", data=PNG, alt="Bars: 3 and 4.", reading="*Figure.* Four is **more**: see [lesson 4](../04_decision_factors.ipynb)."):
    shown = [new_output("display_data", {kind: data}, metadata={kind: {"alt": alt}} if alt else {})]
    return new_code_cell("plot()", outputs=shown + [new_output("display_data", {"text/markdown": reading})] * bool(reading))


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A function that reports on a run: its lines, each what differs from LINE; its notebooks, path → cells; the reference run's lines."""
    monkeypatch.setattr(results, "REFERENCE", tmp_path / "reference.jsonl")
    monkeypatch.setattr(weights, "model_name", lambda: LINE["model"])  # which else hashes the weights each time

    def make(lines=({},), notebooks=None, reference=()):
        write = lambda path, some: path.write_text("".join(json.dumps({**LINE, **line}) + "\n" for line in some), encoding="utf-8")
        write(tmp_path / "results.jsonl", lines)
        write(results.REFERENCE, [{"source": "reference", **line} for line in reference])
        notebooks = {"labs/updating_weights.ipynb": [picture()]} if notebooks is None else notebooks
        report.write(tmp_path, [(Path(path), new_notebook(cells=cells), 61.25) for path, cells in notebooks.items()])
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return make


def test_the_head_says_where_when_and_how(made, monkeypatch):
    monkeypatch.setenv("COURSE_SIZE", "full")
    page = Page(made())
    for said in (weights.model_name(), world.data_version(), "fp32", "full: every question", "updating_weights", "61.2", "Nothing here is medical advice."):
        assert said in page.text, said
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", page.text) and "cores to use" in page.text


def test_it_is_a_page_that_can_be_read_aloud(made):
    page = Page(made())
    assert page.all("html") == [{"lang": "en"}] and len(page.all("main")) == len(page.all("title")) == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))
    assert len(page.all("table")) == len(page.all("caption")) == 4 and all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert [image["alt"] for image in page.all("img")] == ["Bars: 3 and 4."]


def test_nothing_outside_the_page_is_needed(made):
    text = made(notebooks={"labs/updating_weights.ipynb": [picture(), picture("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>")]})
    page = Page(text)
    assert not page.all("script", "link", "iframe", "object", "embed", "base", "form") and "url(" not in text and "@import" not in text
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name in ("srcset", "style")]
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; img-src data:;")
    sources = [image["src"] for image in page.all("img")]
    assert [base64.b64decode(source.partition(",")[2])[:4] for source in sources] == [b"\x89PNG", b"<svg"]
    assert [source.partition(",")[0] for source in sources] == ["data:image/png;base64", "data:image/svg+xml;base64"]


def test_links_lead_to_the_notebook_beside_it_or_to_the_course(made):
    where, names = doors.address(), {path.name for path in doors.notebooks()}
    links = {link["href"] for link in Page(made()).all("a")}
    public = f"https://github.com/{where['repository']}/blob/{where['tag']}/notebooks/"
    assert "updating_weights.ipynb" in links and public + "04_decision_factors.ipynb" in links and public + "labs/desk_citations.ipynb" in links
    assert all(link == "updating_weights.ipynb" or link.startswith(public) and link.rpartition("/")[2] in names for link in links)


@pytest.mark.parametrize("cell", [picture(alt=HOSTILE), picture(reading="*Figure.* " + HOSTILE), picture(data=HOSTILE), picture("image/svg+xml", HOSTILE)])
def test_text_stays_text(made, cell):
    text = made([{"data_version": HOSTILE}, {"precision": HOSTILE}], {f"labs/{HOSTILE.replace('/', ' ')}.ipynb": [cell]})
    page = Page(text)
    assert len(page.all("img")) == 1 and not page.all("script") and set(page.all("img")[0]) == {"src", "alt"}
    assert page.all("img")[0]["src"].startswith("data:image/") and "<script>alert('1')</script>" in page.text
    assert all(not re.match("javascript|data", link["href"]) for link in page.all("a"))


def test_lines_of_markdown():
    links = {"a.ipynb": "a.ipynb"}
    for text, said in {
        "**holds**: *if* `a < b`": "<strong>holds</strong>: <em>if</em> <code>a &lt; b</code>",
        "3 * 4 * 5, 3*4 and 5*6": "3 * 4 * 5, 3*4 and 5*6",
        r"a \| b \[c](a.ipynb)": "a | b [c](a.ipynb)",
        "**[a](labs/a.ipynb#x)**, [b](b.ipynb), [c](https://arxiv.org/abs/1?a=1&b=*c*)": (
            '<strong><a href="a.ipynb">a</a></strong>, b, [c](https://arxiv.org/abs/1?a=1&amp;b=<em>c</em>)'),
        "[c](https://arxiv.org/abs/2312.05934)": '<a href="https://arxiv.org/abs/2312.05934">c</a>',
        f"at {lessons.DOLLAR}50": "at $50",
        "already &lt;escaped&gt; & <not>": "already &lt;escaped&gt; &amp; &lt;not&gt;",
    }.items():
        assert pages.inline(text, links) == said


def test_captions_are_the_readings_and_name_the_notebook(made):
    page = Page(made(notebooks={"labs/updating_weights.ipynb": [picture(), picture(alt=""), picture(reading="")], "01_rag_basics.ipynb": [picture()]}))
    assert page.text.count("Four is more: see lesson 4. (updating_weights)") == 2 and "Four is more: see lesson 4. (01_rag_basics)" in page.text
    assert "Bars: 3 and 4. (updating_weights)" in page.text and all(image["alt"] for image in page.all("img"))


def test_a_run_without_figures_or_lines(made):
    page = Page(made((), {"00_start_here.ipynb": [new_code_cell("pass")]}))
    assert "The notebooks that ran drew none." in page.text and "nothing was recorded" in page.text and not page.all("img")


def test_a_row_of_the_table_is_of_one_source_and_says_which(made):
    retrain = {"arm": "retrain", "value": 0.8, "low": 0.7, "high": 0.9}
    assert "40% (30% to 50%) this run80% (70% to 90%) this runnot measured" in Page(made([{}, retrain])).text
    both = [{"value": 0.5}, retrain]
    assert "50% (30% to 50%) reference80% (70% to 90%) reference" in Page(made([{}], reference=both)).text


def test_what_lesson_4_computes_is_of_this_run_or_of_the_reference_run(made):
    cost = {"notebook": "04_decision_factors", "experiment": "decide.cost", "arm": "rag", "group": "first_month", "metric": "usd", "unit": "USD", "value": 2, "low": 1, "high": 4}
    text = Page(made([cost], reference=[{**cost, "value": 3}])).text
    assert "low to start, high, highest$2 ($1 to $4)" in text and "computed by lesson 4, in this run" in text
    text = Page(made(reference=[{**cost, "value": 3}])).text
    assert "low to start, high, highest$3 ($1 to $4)" in text and "which did not run here" in text


def test_the_ledger_has_every_claim_and_this_runs_own_word(made):
    r2 = claims.load_claims()["R2"]
    lines = [dict(zip(("experiment", "arm", "group", "metric"), ledger.split(test)[0].split()), unit="ratio", value=v, low=v, high=v)
             for test in r2.holds for _, sign, number in [ledger.split(test)] for v in [number + (1 if sign == ">" else -1)]]
    page = Page(made(lines))
    assert all(f"{i} · {claim.claim}" in page.text for i, claim in claims.load_claims().items())
    assert f"R2 · {r2.claim}not measuredholds" in page.text
    assert f"R2 · {r2.claim}holdsnot measured" in Page(made((), reference=lines)).text


def test_claims_on_lesson_4s_figures_have_the_row_of_its_page(made):
    k3 = claims.load_claims()["K3"]
    own = dict(zip(("experiment", "arm", "group", "metric"), ledger.split(k3.holds[0])[0].split()), notebook="04_decision_factors", unit="ratio")
    rows = [("K3 · its claim", "**holds**", "holds", r"a \| b", "[here](04_decision_factors.ipynb)", "–"), ("D1 · other", "**holds**", "", "", "", "")]
    shown = "\n".join("| " + " | ".join(row) + " |" for row in (ledger.COLUMNS, [":---"] * 6, *rows))
    notebooks = {"04_decision_factors.ipynb": [new_code_cell("x", outputs=[new_output("display_data", {"text/markdown": shown})])]}
    page = Page(made([own], notebooks))
    assert "K3 · its claimholdsholdsa | bhere–" in page.text and "D1 · other" not in page.text
    assert "K3 · its claim" not in Page(made((), notebooks)).text


def test_rows_and_columns_are_those_of_lesson_4():
    notebook = nbformat.read(LESSON_4, 4)
    shown = [output.data.get("text/markdown", "") for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [text for text in shown if text.startswith("| " + " | ".join(ledger.COLUMNS) + " |")]
    filled = next(text for text in shown if text.startswith("|  | the usual words | RAG | fine-tuning | hybrid |"))
    ours = report.comparison(evidence.Evidence({"run": {}, "reference": {}}), [])
    start = lambda row: re.match(r"\*\*\w+\*\*: [^(|]+(?<! )", row)[0]
    assert [start(row.strip("| ")) for row in filled.splitlines()[2:]] == [start(row[0]) for row in ours]
    assert [row.split(" | ")[1] for row in filled.splitlines()[2:]] == [row[1] for row in ours]


def test_damaged_results_are_told(made, tmp_path):
    made()
    (tmp_path / "results.jsonl").write_text("{half", encoding="utf-8")
    report.write(tmp_path, [])
    assert "Left out. None of this file is used." in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text


def test_a_folder_that_cannot_be_written(made, tmp_path):
    before = made()
    (tmp_path / "report.html.part").mkdir()
    with pytest.raises(CourseError, match=r"The report could not be written to .*report.html \(.+\): give --out a folder that can be written\."):
        made()
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before


def test_the_notebooks_of_the_course_as_they_are_stored(tmp_path):
    """Every stored notebook as if it had just run: every figure is there with a description, and no Markdown is left over."""
    (tmp_path / "results.jsonl").touch()
    notebooks = [(path, nbformat.read(path, 4), 1.0) for path in doors.notebooks()]
    report.write(tmp_path, notebooks)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("img")) == sum(len(list(report.pictures(notebook))) for _, notebook, _ in notebooks) > 10
    assert all(image["alt"] and "not describe" not in image["alt"] for image in page.all("img"))
    assert not re.search(r"\*\*|`|\]\(|\\", page.text)
