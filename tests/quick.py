"""A pytest plugin: notebooks are run on a quarter of their questions and training steps, so that the suite stays short on a slow machine.

Lessons are run whole, checkpoints and all, where the processor has bfloat16 instructions or there is a GPU. What the checkpoints of the other
notebooks say on their usual size stands in their stored outputs, which test_notebook_files looks at.
"""

import os

import pytest

from helpers import llm

FAST = llm.choose_precision() != "fp32"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":  # nbval starts the kernel when the first cell of a notebook is set up
        whole = FAST and item.path.parent.name != "labs"
        os.environ.update(COURSE_QUICK=str(int(not whole)), COURSE_STRICT=str(int(whole)))
