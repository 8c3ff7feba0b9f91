"""SOLUTIONS.md: one for every exercise of the lessons, in the lesson's own words, and of names that the lesson has."""

import ast
import builtins
import json
import re
from pathlib import Path

import pytest

COURSE = Path(__file__).resolve().parent.parent
SOLUTION = re.compile(r"### Exercise (\d+)\n\n> ([^\n]+)\n\n```python\n(.+?)\n```\n", re.DOTALL)
LESSONS = [path for path in sorted((COURSE / "notebooks").glob("*.ipynb")) if not path.stem.startswith("00")]


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def solutions(path):
    """(number, exercise, code) of a lesson's section, found by the order of the lessons."""
    sections = (COURSE / "SOLUTIONS.md").read_text(encoding="utf-8").split("\n## ")[1:]
    return SOLUTION.findall(sections[LESSONS.index(path)])


def names(code, kind):
    """The names that code binds (ast.Store) or reads (ast.Load), imports, functions, arguments included among the first."""
    tree = ast.parse(code)
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, kind)}
    if kind is ast.Store:
        found |= {alias.asname or alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names}
        found |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return found


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_exercise_has_its_solution(path):
    end = next(source for cell in cells(path) if "## Go further" in (source := "".join(cell["source"]))).split("## Go further")[1]
    assert [(number, text) for number, text, _ in solutions(path)] == re.findall(r"(?m)^(\d+)\. (.+)$", end)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_solutions_use_only_what_the_lesson_has(path):
    page = "\n".join("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code")
    known = names(page, ast.Store) | set(dir(builtins))
    for number, _, code in solutions(path):
        assert names(code, ast.Load) <= known | names(code, ast.Store), f"exercise {number}"
