"""The notebooks as files: executed in order, nothing of one machine in them, no dead link, every picture described."""

import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest

from helpers import doors

COURSE = Path(__file__).resolve().parent.parent
NOTEBOOKS = doors.notebooks()
PAGES = NOTEBOOKS + sorted(path for path in COURSE.glob("*.md")) + sorted((COURSE / "data").glob("*.md"))
LINK = re.compile(r"(!?)\[((?:[^\[\]]|!?\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)(?: \"[^\"]*\")?\)")
ABSOLUTE = re.compile(r"(?<![\w./:<])(/(home|root|tmp|Users|usr|opt|work|var|private|mnt|content)/[\w.-]|[A-Z]:\\\\\w)")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def texts(path):
    """The Markdown of a page: of a notebook its cells' and its outputs', of a .md file all of it."""
    if path.suffix == ".md":
        return [without_code(path.read_text(encoding="utf-8"))]
    cells = read(path).cells
    shown = [output.data["text/markdown"] for cell in cells if cell.cell_type == "code"
             for output in cell.outputs if "text/markdown" in output.get("data", {})]
    return [without_code(text) for text in [cell.source for cell in cells if cell.cell_type == "markdown"] + shown]


def without_code(text):
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def links(path):
    """(is an image, text, target) of every link of a page, those inside the text of another link included."""
    for text in texts(path):
        for match in LINK.finditer(text):
            yield bool(match[1]), match[2], match[3]
            yield from ((bool(inner[1]), inner[2], inner[3]) for inner in LINK.finditer(match[2]))


def anchors(path):
    """Names that a link may point to in a page: of headings, in the forms of JupyterLab and of GitHub, and of explicit ids."""
    found = set()
    for text in texts(path):
        for heading in re.findall(r"(?m)^#+ +(.+?) *#*$", text):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)|[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}", r"\1", heading)
            found |= {plain.replace(" ", "-"), re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")}
        found |= set(re.findall(r"""<[^>]+ (?:id|name)=["']([^"']+)["']""", text))
    return found


def test_there_are_notebooks():
    assert NOTEBOOKS


@each_notebook
def test_is_a_valid_notebook_with_its_minutes(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor >= 5) == (4, True)
    assert 0 < doors.minutes(notebook)[0] <= 10 and doors.title(notebook)


@each_notebook
def test_no_stored_checkpoint_failed(path):
    assert not any("✗ **Checkpoint" in text for text in texts(path))


@each_notebook
def test_was_executed_from_first_to_last_cell(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run: course.py run --save"
    assert any(cell.outputs for cell in cells)


@each_notebook
def test_outputs_are_clean(path):
    """No error, no stderr (so no warning and no progress bar), nothing cut short."""
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text
            shown = output.get("text", "") + "".join(str(output.get("data", {}).get(kind, "")) for kind in ("text/plain", "text/markdown", "text/html"))
            assert not re.search(r"\b(\w*Warning:|Traceback)", shown), shown
            assert "\r" not in shown and "\x1b[" not in shown, "a progress bar or terminal colours"


@each_notebook
def test_money_is_not_set_as_a_formula(path):
    """What stands between two dollar signs becomes one in JupyterLab, escaped or not: lessons.say writes them so that they don't pair."""
    assert not [text for text in texts(path) if "$" in text]


@each_notebook
def test_carries_nothing_of_one_machine_or_editor(path):
    notebook = read(path)
    assert set(notebook.metadata) <= {"course", "kernelspec", "language_info"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata.language_info == {"name": "python"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags", "slideshow", "jupyter"}, cell.metadata
        shown = [cell.source] + [str(output.get("text", "")) + str({kind: text for kind, text in output.get("data", {}).items()
                                 if not kind.startswith("image/")}) for output in cell.get("outputs", [])]
        for text in shown:
            assert not ABSOLUTE.search(text), ABSOLUTE.search(text)
        assert not any("widget-view" in kind for output in cell.get("outputs", []) for kind in output.get("data", {})), "widget state"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(COURSE).as_posix())
def test_links_resolve(page):
    for _, text, target in links(page):
        address, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", address):
            assert address.startswith(("https://", "mailto:")), f"[{text}]({target})"
            continue
        place = (page.parent / unquote(address)).resolve() if address else page
        assert place.exists() and place.is_relative_to(COURSE), f"[{text}]({target})"
        if anchor and place.suffix in (".md", ".ipynb"):
            assert unquote(anchor) in anchors(place), f"[{text}]({target})"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(COURSE).as_posix())
def test_pictures_in_the_text_have_a_description(page):
    for image, text, target in links(page):
        assert not image or len(text.strip()) > 5, target
    for text in texts(page):
        for tag in re.findall(r"<img\b[^>]*>", text):
            assert re.search(r"""alt=["'][^"']{6,}""", tag), tag


@each_notebook
def test_figures_have_a_description_and_a_visible_reading(path):
    """A figure's alt text stands in the output's metadata; JupyterLab drops it, so a sentence follows the figure as well."""
    for cell in read(path).cells:
        outputs = cell.get("outputs", [])
        for place, output in enumerate(outputs):
            data = output.get("data", {})
            pictures = [kind for kind in data if kind.startswith("image/")]
            if pictures:
                described = [output.metadata.get(kind, {}).get("alt", "") for kind in pictures] + [output.metadata.get("alt", "")]
                assert max(map(len, described)) > 20, f"no alt text: {cell.source}"
                after = [str(later.get("text", "")) + str(later.get("data", {}).get("text/markdown", "")) for later in outputs[place + 1:]]
                assert any(len(text) > 20 for text in after), f"no visible reading: {cell.source}"
            for tag in re.findall(r"<img\b[^>]*>", str(data.get("text/html", ""))):
                assert re.search(r"""alt=["'][^"']{6,}""", tag), tag


def test_the_checks_above_can_fail(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One *two*: three\n[![badge](a.svg)](b.md) [here](#one-two-three) `[no](code)`\n")
    assert list(links(page)) == [(False, "![badge](a.svg)", "b.md"), (True, "badge", "a.svg"), (False, "here", "#one-two-three")]
    assert "one-two-three" in anchors(page) and "one" not in anchors(page)
    for text in ("/home/someone/x", "'C:\\\\Users'", "see /tmp/abc"):
        assert ABSOLUTE.search(text), text
    for text in ("1/2", "https://x.org/home/a", "data/tmp/x", "and/or", "</var/>"):
        assert not ABSOLUTE.search(text), text
