"""The shared package of the course: small modules, one idea each. Importing it loads nothing heavy."""

from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent
"""The course folder: the one that holds course.py, notebooks/ and data/."""


class CourseError(ValueError):
    """Something a learner can put right. Its message says what was wrong, with which value, and what to do."""
