"""Says what machine this is, what is missing or wrong, and how long each notebook will take. Installs nothing.

It also runs where no package is installed yet, so the top of this file imports the standard library alone.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from helpers import COURSE, CourseError, doors

MEMORY_NEEDED = 2.0  # GB (10^9 bytes): what the largest notebook and the JupyterLab server hold together
SMALL_MEMORY = 4.0  # GB
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))  # a container's, as Linux keeps it now and used to
DISK_NEEDED = 1.0  # GB
COMMAND = "py course.py" if os.name == "nt" else "python3 course.py"


def processor():
    """The processor's name, as the operating system tells it."""
    if sys.platform == "linux":
        found = re.search(r"(?m)^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text())
        return found.group(1) if found else platform.machine()
    if sys.platform == "darwin":
        return subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True).stdout.strip()
    return platform.processor()


def cores():
    """Cores this process may use: on a shared machine fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def memory():
    """Memory this process may use, in GB (10^9 bytes): a container's limit and JupyterHub's count. None where psutil is missing."""
    try:
        import psutil
    except ImportError:
        return None
    allowed = [psutil.virtual_memory().total]
    for limit in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no container, or "max": no limit
            allowed.append(int(limit.read_text()))
    with contextlib.suppress(KeyError, ValueError):
        allowed.append(int(os.environ["MEM_LIMIT"]))  # which JupyterHub sets, and so Binder
    return min(allowed) / 1e9


def small():
    """Whether this machine has so little memory that trainings spare it and take longer."""
    return (memory() or SMALL_MEMORY) < SMALL_MEMORY


def machine():
    """Rows about the machine. A row is (what, ok, text), with ok None where there is nothing to judge."""
    free, held = shutil.disk_usage(COURSE).free / 1e9, memory()
    system = "macOS " + platform.mac_ver()[0] if sys.platform == "darwin" else f"{platform.system()} {platform.release()}"
    venv = Path(sys.prefix).resolve() == (COURSE / ".venv").resolve()
    return [
        ("system", None, f"{system}, {platform.machine()}"),
        ("processor", None, f"{processor()}, {cores()} cores to use"),
        ("memory", None, "unknown until the packages are installed") if held is None else
        ("memory", held >= MEMORY_NEEDED, f"{held:.1f} GB, of which the course needs {MEMORY_NEEDED:.0f}"),
        ("free disk", free >= DISK_NEEDED, f"{free:.1f} GB beside the course"),
        ("python", None, f"{platform.python_version()} {'in .venv' if venv else 'at ' + sys.executable}"),
    ]


def locked_versions(text):
    """Package name -> version for the lines of a lock file that apply to this machine (to any, before set-up)."""
    try:
        from packaging.markers import Marker
    except ImportError:
        Marker = None
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)(?: ; ([^\\\n]+?))?(?: \\)?$", text)
    return {name: version for name, version, marker in found if not (marker and Marker) or Marker(marker).evaluate()}


def installed(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages(root=COURSE):
    """Rows about PyTorch and the locked packages: what is missing, what has another version."""
    wanted, torch = doors.address(root)["torch"], installed("torch")
    rows = [("PyTorch", torch is not None and torch.split("+")[0] == wanted, f"{torch or 'missing'} (the course is made with {wanted})")]
    locked = locked_versions((root / "requirements.lock").read_text(encoding="utf-8"))
    have = {name: installed(name) for name in locked}
    missing = [name for name in locked if have[name] is None]
    other = [f"{name} {have[name]} (locked: {version})" for name, version in locked.items() if have[name] not in (None, version)]
    told = f"{len(locked) - len(missing) - len(other)} of {len(locked)} at their locked versions"
    if missing:
        told += "; missing: " + _some(missing)
    if other:
        told += "; other version: " + _some(other)
    return rows + [("packages", not missing and not other, told)]


def _some(names):
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def contents():
    """Rows about weights, precision and data, for which the packages must be there."""
    try:
        from helpers import llm, validate, weights
    except ImportError as error:
        return [("weights, data", False, f"cannot be checked before the packages are installed ({error.name} is missing)")]

    def data():
        faults = validate.problems()
        more = f" (and {len(faults) - 1} more)" if faults[1:] else ""
        return [("data", not faults, faults[0] + more if faults else "complete and consistent")]

    rows = []
    for what, ask in {
        "weights": lambda: [(f"weights {name}", ok, text) for name, ok, text in weights.status()],
        "precision": lambda: [("precision", None, f"{llm.choose_precision()}: {llm.precision_reason()}")],
        "data": data,
    }.items():
        try:
            rows += ask()
        except ImportError as error:
            rows.append((what, False, f"cannot be checked before the packages are installed ({error.name} is missing)"))
        except (CourseError, OSError) as problem:
            rows.append((what, False, str(problem)))
    return rows


def expected_minutes(fp32, root=COURSE):
    """Rows with the minutes of computing of each notebook, in fp32 or in bf16."""
    notebooks = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in doors.notebooks(root)}
    return [(stem, None, f"about {doors.minutes(notebook)[fp32]:.2g} minutes of computing") for stem, notebook in notebooks.items()]


def main():
    """Print the report; exit 1 where a row is not as it should be."""
    rows = machine() + packages() + contents()
    fast = any(what == "precision" and text.startswith(("bf16", "fp16")) for what, _, text in rows)
    rows += expected_minutes(fp32=not fast)
    width = max(len(what) for what, _, _ in rows)
    for what, ok, text in rows:
        print(f"{'  ' if ok is None else 'ok' if ok else '!!'}  {what:<{width}}  {text}")
    if any(ok is False for _, ok, _ in rows):
        print(f"\nNot everything is as it should be (!!). Missing parts are set up by: {COMMAND} warm", flush=True)
        sys.exit(1)
    print(f"\nEverything is in place. Next: {COMMAND} lab")


if __name__ == "__main__":
    main()
