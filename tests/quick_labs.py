"""A pytest plugin: labs are run on a quarter of their questions, lessons whole, so that the suite stays short on a slow machine.

What a lab's checkpoints say on its usual size stands in its stored outputs, which test_notebook_files looks at.
"""

import os

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":  # nbval starts the kernel when the first cell of a notebook is set up
        lab = item.path.parent.name == "labs"
        os.environ.update(COURSE_QUICK=str(int(lab)), COURSE_STRICT=str(int(not lab)))
