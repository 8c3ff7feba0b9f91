"""Run notebooks without a browser: in order, each in a fresh kernel of this Python, one line of progress each."""

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import nbformat
import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from helpers import COURSE, CourseError, doors, report

CELL_SECONDS = 1800  # no cell of the course computes this long
KEPT_METADATA = ("tags", "slideshow", "jupyter")  # of a cell; everything else is an editor's or a kernel's trace
WIDGET = "application/vnd.jupyter.widget-view+json"


class CellFailed(CourseError):
    """A cell raised an error, ran out of time or lost its kernel; the message says which and why."""


class ThisPython(AsyncKernelManager):
    """Starts kernels of the running Python, whatever kernels of the same name this machine has elsewhere."""

    def _kernel_spec_manager_default(self):
        return KernelSpecManager(parent=self, kernel_dirs=[])

    def _transport_encryption_default(self):  # or every kernel starts with a warning about plain text
        return "auto"


class PeakMemory(threading.Thread):
    """Watches a process from a thread, and remembers the most memory it has held."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.bytes = pid, 0
        self.start()

    def run(self):
        while self.look():
            time.sleep(0.1)

    def look(self):
        """Measure once. False when the process has ended."""
        try:
            self.bytes = max(self.bytes, self._peak())
        except (psutil.Error, OSError):
            return False
        return True

    def _peak(self):
        if sys.platform == "linux":  # the system keeps the peak itself, so that no short one is missed
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
            return int(found.group(1)) * 1024 if found else 0
        info = psutil.Process(self.pid).memory_info()
        return getattr(info, "peak_wset", info.rss)

    def gigabytes(self):
        """The peak so far, in 10^9 bytes."""
        self.look()
        return self.bytes / 1e9


def find(names, root=COURSE):
    """The notebooks that `names` mean (a stem, a file name or a path each), in that order; all of them for no names.

    Raises CourseError for a name that means none.
    """
    known = doors.notebooks(root)
    chosen = [] if names else known
    for name in names:
        by_name = [path for path in known if name in (path.stem, path.name)]
        path = by_name[0] if by_name else Path(name).resolve()
        if path.suffix != ".ipynb" or not path.is_file():
            raise CourseError(f"There is no notebook {name!r}: choose from {', '.join(path.stem for path in known)}, or give a path.")
        if path not in chosen:
            chosen.append(path)
    if not chosen:
        raise CourseError(f"There are no notebooks in {root / 'notebooks'}.")
    return chosen


def load(path):
    """The notebook at `path`. Raises CourseError where the file is not one. Cells without an id get a lasting one."""
    try:
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        for number, cell in enumerate(raw["cells"]):
            cell.setdefault("id", f"cell-{number:02d}")
        raw["nbformat_minor"] = max(5, raw["nbformat_minor"])
        notebook = nbformat.reads(json.dumps(raw), as_version=4)
        nbformat.validate(notebook)
    except (ValueError, KeyError, TypeError, nbformat.ValidationError) as error:
        raise CourseError(f"{path} is not a notebook ({str(error).splitlines()[0]}): restore it from the course.") from None
    return notebook


def execute(notebook, path, variables, cell_seconds=None):
    """Execute every cell of `notebook`, in place, in the folder of `path`, with `variables` added to the environment.

    A cell may take `cell_seconds` (default: CELL_SECONDS). Returns (seconds, peak memory of the kernel in GB). Raises CellFailed at the first cell that does not end well.
    """
    started, cell_seconds = time.perf_counter(), cell_seconds or CELL_SECONDS
    client = NotebookClient(
        notebook, kernel_name="python3", kernel_manager_class=ThisPython, timeout=cell_seconds, coalesce_streams=True,
        record_timing=False, store_widget_state=False, resources={"metadata": {"path": str(Path(path).parent)}},
    )
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with client.setup_kernel(env={**os.environ, **variables}):
        peak = PeakMemory(client.km.provisioner.pid)
        for number, cell in enumerate(notebook.cells):
            _show(f"{path.stem}: cell {number + 1} of {len(notebook.cells)}")
            try:
                client.execute_cell(cell, number)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                _show("")
                raise CellFailed(f"{path.name}, cell {number + 1} ({_first_line(cell)}): {_why(error, cell_seconds)}") from None
        return time.perf_counter() - started, peak.gigabytes()


def _why(error, cell_seconds):
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {' '.join(error.evalue.split())}"
    if isinstance(error, CellTimeoutError):
        return f"did not end within {cell_seconds / 60:.0f} minutes."
    return "the kernel died, most likely because memory ran out: close other programs and run it again."


def _first_line(cell):
    lines = [line for line in cell.source.splitlines() if line.strip() and not line.startswith("#")]
    return (lines or ["empty"])[0].strip()[:60]


def _show(line):
    """Show a line in place of the one before, on a terminal only."""
    if sys.stdout.isatty():
        print(f"\r{line[:79]:<79}", end="" if line else "\r", flush=True)


def normalise(notebook):
    """Strip, in place, what differs between two runs or two editors; count the executed cells 1…n. Returns the notebook."""
    course = notebook.metadata.get("course")
    notebook.metadata = nbformat.from_dict({
        **({"course": course} if course else {}),
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })
    count = 0
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: value for key, value in cell.metadata.items() if key in KEPT_METADATA})
        if cell.cell_type != "code":
            continue
        count += bool(cell.source.strip())
        cell.execution_count = count if cell.source.strip() else None
        # Without its state a widget shows as an error or as its repr, so a stored notebook is better off without.
        cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = cell.execution_count
    return notebook


def write(notebook, path):
    """Write a notebook so that no half of it is ever seen: beside its place first, then renamed."""
    beside = path.with_name(path.name + ".part")
    nbformat.write(notebook, beside)
    os.replace(beside, path)


def reference_lines(paths, root=COURSE):
    """The lines of data/reference/results.jsonl that belong to the notebooks at `paths`; none where it does not exist."""
    file = root / "data" / "reference" / "results.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    stems = {path.stem for path in paths}
    return [line for line in lines if line.strip() and json.loads(line)["notebook"] in stems]


def run(paths, out=None, save=False, root=COURSE):
    """Run the notebooks at `paths` one after another, with one folder of results and predictions that starts empty.

    `out`: a folder that gets the executed notebooks and results.jsonl, all at once at the end, and report.html. `save`: write the outputs
    back into the notebooks. Raises CellFailed at the first failure, having left NAME.failed.ipynb in `out`, and
    CourseError where `out` is no folder that can be written.
    """
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(prefix=".running-", dir=out))
        except OSError as error:
            raise CourseError(f"Cannot put results into {out} ({error.strerror}): give --out a folder that can be written.") from None
    else:
        staging = Path(tempfile.mkdtemp(prefix="course-run-"))
    results = staging / "results.jsonl"
    results.touch()
    variables = {"COURSE_RESULTS": str(results), "COURSE_DATA": str(staging / "data")}
    (staging / "data").mkdir()
    width, ran = max(len(path.stem) for path in paths), []
    try:
        for path in paths:
            notebook = load(path)
            if path.is_relative_to(root / "notebooks"):
                doors.stamp(notebook, path, root)
            try:
                seconds, gigabytes = execute(notebook, path, variables)
            except CellFailed:
                if out is not None:
                    write(notebook, out / f"{path.stem}.failed.ipynb")
                raise
            print(f"{path.stem:<{width}}  {len(notebook.cells):3d} cells  {seconds:6.1f} s  peak {gigabytes:.2f} GB", flush=True)
            normalise(notebook)
            write(notebook, staging / path.name)
            ran.append((path, notebook, seconds))
            if save:
                write(notebook, path)
        if out is not None:
            with results.open("a", encoding="utf-8") as file:
                file.writelines(line + "\n" for line in reference_lines(paths, root))
            for path in paths:
                os.replace(staging / path.name, out / path.name)
                (out / f"{path.stem}.failed.ipynb").unlink(missing_ok=True)
            os.replace(results, out / results.name)
            report.write(out, ran)  # last, so that nothing measured is lost if it cannot be written
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.running", description=__doc__)
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a name such as 01_rag_basics, or a path (default: all)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="leave the executed notebooks, results.jsonl and report.html in this folder")
    parser.add_argument("--save", action="store_true", help="write the outputs back into the notebooks themselves")
    options = parser.parse_args(arguments)
    try:
        run(find(options.notebooks), options.out, options.save)
    except CourseError as problem:
        sys.exit(f"course: {problem}")
    except KeyboardInterrupt:
        print("\ncourse: Interrupted. Nothing was written for the notebook that was running.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
