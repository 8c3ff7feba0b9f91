"""The doors into a notebook: its launch badges and its first cell, made from the address in pyproject.toml.

`python -m helpers.doors` stamps them into every notebook, and the table of lessons into README.md.
"""

import json
import re
import tomllib
from pathlib import Path

from helpers import COURSE, CourseError

FP32_SLOWDOWN = 2.5  # an fp32 machine takes this many times the bf16 minutes that notebooks state
TABLE = re.compile(r"(?<=<!-- lessons -->\n).*?(?=<!-- /lessons -->)", re.DOTALL)

SETUP_CELL = """\
# Finds the course, so that `import helpers` works. On Colab it fetches the course first; elsewhere it is silent.
import os, subprocess, sys
from pathlib import Path
if "COLAB_RELEASE_TAG" in os.environ and Path.cwd().name != "{folder}":
    address = os.environ.get("COURSE_REPOSITORY", "https://github.com/{repository}")
    clone = ["git", "-c", "advice.detachedHead=false", "clone", "-q", "--depth=1", "--branch={tag}"]
    Path("{name}").exists() or subprocess.run([*clone, address, "{name}"], check=True)
    subprocess.run([sys.executable, "{name}/helpers/colab.py"], check=True)
    os.chdir("{name}/{place}")
sys.path.insert(0, str(next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "course.py").exists())))"""


def notebooks(root=COURSE):
    """Paths of all notebooks in the order they are run: lessons by number, then labs by name."""
    return sorted((root / "notebooks").glob("*.ipynb")) + sorted((root / "notebooks" / "labs").glob("*.ipynb"))


def address(root=COURSE):
    """Where the course is published, as {"repository": "OWNER/NAME", "branch", "tag", "torch"}, from pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["course"]


def badges(path, root=COURSE):
    """The line of Markdown with the Colab and Binder badges of the notebook at `path`."""
    where, inside = address(root), Path(path).relative_to(root).as_posix()
    colab = f"https://colab.research.google.com/github/{where['repository']}/blob/{where['tag']}/{inside}"
    binder = f"https://mybinder.org/v2/gh/{where['repository']}/{where['tag']}?urlpath=lab/tree/{inside}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) "
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def setup_cell(path, root=COURSE):
    """Source of the first code cell of the notebook at `path`."""
    place = Path(path).relative_to(root).parent
    where = address(root)
    return SETUP_CELL.format(
        folder=place.name, place=place.as_posix(), name=where["repository"].split("/")[1], repository=where["repository"], tag=where["tag"]
    )


def stamp(notebook, path, root=COURSE):
    """Put the badges and the setup cell into the cells tagged `badges` and `colab`, in place.

    Returns the notebook. Raises CourseError where a notebook of the course lacks one of the two.
    """
    sources = {"badges": badges(path, root), "colab": setup_cell(path, root)}
    for tag, source in sources.items():
        tagged = [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
        if len(tagged) != 1:
            raise CourseError(f"{Path(path).name} has {len(tagged)} cells tagged {tag!r}: it needs exactly one.")
        tagged[0].source = source
    return notebook


def title(notebook):
    """The text of a notebook's first heading."""
    for cell in notebook["cells"]:
        found = re.search(r"(?m)^# (.+)$", "".join(cell["source"])) if cell["cell_type"] == "markdown" else None
        if found:
            return found.group(1).strip()
    raise CourseError("The notebook has no heading: its first cell should start with '# '.")


def minutes(notebook):
    """Minutes the notebook computes, as (bf16, fp32). Raises CourseError where its metadata does not say."""
    try:
        fast = float(notebook["metadata"]["course"]["minutes"])
    except (KeyError, TypeError, ValueError):
        raise CourseError("The notebook's metadata lacks course.minutes, its minutes of computing in bf16.") from None
    return fast, fast * FP32_SLOWDOWN


def minutes_said(notebook):
    """The same as text: "3.3 to 8.2"."""
    return "{:.3g} to {:.2g}".format(*minutes(notebook))


def labs(lesson, root=COURSE):
    """Paths of the labs that belong to a lesson: those whose first cell names it as what to have read before, by a link."""
    own = f"](../{Path(lesson).name})"
    return [path for path in sorted((root / "notebooks" / "labs").glob("*.ipynb"))
            if own in "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).partition("**Before this:**")[2].splitlines()[0]]


def lab_links(lesson, start, root=COURSE):
    """A lesson's labs as Markdown links in one line, their paths relative to the folder `start`."""
    return " · ".join(f"[{path.stem.replace('_', ' ')}]({path.relative_to(start).as_posix()})" for path in labs(lesson, root))


def lesson_table(root=COURSE):
    """The Markdown table of all notebooks for README.md: title and labs, minutes (bf16 to fp32), badges."""
    rows = ["| lesson, and its labs | minutes of computing | open without installing |", "|---|---|---|"]
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        own = lab_links(path, root, root)
        rows.append(f"| [{title(notebook)}]({path.relative_to(root).as_posix()}){'<br>labs: ' + own if own else ''} "
                    f"| {minutes_said(notebook)} | {badges(path, root)} |")
    return "\n".join(rows) + "\n"


def main():
    """Stamp all notebooks and the table in README.md, leaving everything else in them as it is."""
    import nbformat  # not at the top: course.py doctor needs this module before anything is installed

    for path in notebooks():
        nbformat.write(stamp(nbformat.read(path, as_version=4), path), path)
    readme = COURSE / "README.md"
    text = readme.read_text(encoding="utf-8")
    if not TABLE.search(text):
        raise SystemExit("course: README.md lacks the lines <!-- lessons --> and <!-- /lessons --> around its table.")
    readme.write_text(TABLE.sub(lambda _: lesson_table(), text), encoding="utf-8")


if __name__ == "__main__":
    main()
