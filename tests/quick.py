"""A pytest plugin that keeps the suite short on a slow machine: two processes share the files, and notebooks are run on a quarter of their questions
and training steps.

Lessons are run whole, checkpoints and all, where the processor has bfloat16 instructions or there is a GPU. What the checkpoints of the other
notebooks say on their usual size stands in their stored outputs, which test_notebook_files looks at.
"""

import os

import pytest

from helpers import doctor, llm, results

MEMORY_EACH = 3  # GB; a process and the kernel of its notebook hold 2


@pytest.hookimpl(tryfirst=True)  # before the one of xdist itself
def pytest_xdist_auto_num_workers(config):
    """How many processes: two where cores and memory allow. Each gets its share of the cores."""
    workers = min(2, doctor.cores(), int((doctor.memory() or 0) // MEMORY_EACH))
    if workers > 1:
        os.environ["OMP_NUM_THREADS"] = str(doctor.cores() // workers)
    return workers if workers > 1 else 0


def pytest_configure(config):
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):  # predictions and results of notebooks that run at the same time are kept apart
        os.environ["COURSE_DATA"] = str(results.data_folder() / worker)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    if item.path.suffix == ".ipynb":  # nbval starts the kernel when the first cell of a notebook is set up
        whole = item.path.parent.name != "labs" and llm.choose_precision() != "fp32"
        os.environ.update(COURSE_QUICK=str(int(not whole)), COURSE_STRICT=str(int(whole)))
        if not whole:
            item.options["check"] = False  # what a cell shows depends on the number of questions
    else:
        os.environ.update(COURSE_QUICK="0", COURSE_STRICT="1")
