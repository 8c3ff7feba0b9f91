"""course.py: set-up from nothing, set-up that is interrupted, and everything that can be wrong, one clear sentence each.

Set-ups run for real, on a small copy of the course with two tiny packages instead of the real ones.
"""

import ast
import hashlib
import http.server
import importlib.metadata
import importlib.util
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

COURSE = Path(__file__).resolve().parent.parent
COMMANDS = ("lab", "test", "run", "warm", "doctor", "bench")
DEAD = "http://127.0.0.1:9"
VENV_PYTHON = "Scripts/python.exe" if os.name == "nt" else "bin/python"


def make_wheel(folder, name, version):
    """A wheel with one module and a data file, as small as they come; returns its SHA-256."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_project(tree, dependencies, torch, lock):
    listed = ", ".join(f'"{line}"' for line in dependencies)
    (tree / "pyproject.toml").write_text(
        f'[project]\nname = "tiny"\ndependencies = [{listed}]\n[dependency-groups]\ndev = []\n[tool.course]\ntorch = "{torch}"\n'
    )
    (tree / "requirements.lock").write_text("".join(f"{pin} \\\n    --hash=sha256:{sha256}\n" for pin, sha256 in lock))


def make_tree(folder):
    """A copy of the course that is quick to set up: course.py, two tiny wheels and a stand-in for the weights."""
    tree = folder / "course"
    (tree / "helpers").mkdir(parents=True)
    (tree / "wheels").mkdir()
    shutil.copy(COURSE / "course.py", tree)
    make_wheel(tree / "wheels", "torch", "2.13.0")
    sha256 = make_wheel(tree / "wheels", "tinypackage", "1.0")
    write_project(tree, ["torch>=2.11", "tinypackage>=1"], "2.13.0", [("tinypackage==1.0", sha256)])
    (tree / "helpers" / "weights.py").write_text('print("weights are ready")\n')
    return tree


@pytest.fixture
def tree(tmp_path):
    """A tiny course with nothing set up."""
    return make_tree(tmp_path)


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """A tiny course after its first `warm`, and what that said. Tests work on copies: see `ready`."""
    tree = make_tree(tmp_path_factory.mktemp("first"))
    return tree, course(tree, "warm")


@pytest.fixture
def ready(first_run, tmp_path):
    """A tiny course that is set up."""
    return Path(shutil.copytree(first_run[0], tmp_path / "course", symlinks=True))


def settings(tree, **more):
    """Environment in which pip sees the tiny wheels and nothing else: no index, no configuration of this machine's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "COURSE_"))}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tree / "wheels"), **more}


def course(tree, *arguments, python=sys.executable, before="", **variables):
    """Run the tree's course.py, after the lines of Python in `before`, which can disguise the machine."""
    command = [python, "course.py", *arguments]
    if before:
        start = f"import sys, runpy\n{before}\nsys.argv = {['course.py', *arguments]!r}\nrunpy.run_path('course.py', run_name='__main__')"
        command = [python, "-c", start]
    return subprocess.run(command, cwd=tree, env=settings(tree, **variables), capture_output=True, text=True, timeout=300)


def heed_ctrl_c():
    """Run in a new process: a parent in the background may have passed on that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def refused(done, *words, status=1):
    """Assert that a command ended with `status`, no traceback, and one sentence for the learner with all of `words`."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    sentences = [line for line in done.stderr.splitlines() if line.startswith("course: ")]
    assert len(sentences) == 1, done.stderr
    for word in words:
        assert word in sentences[0]


def versions(tree):
    """What is installed in the tree's environment, as {name: version}."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    return json.loads(subprocess.run([tree / ".venv" / VENV_PYTHON, "-I", "-c", code], capture_output=True, text=True).stdout)


def site(tree):
    return next((tree / ".venv").rglob("site-packages"))


# ---- The file itself -----------------------------------------------------------------------------------------------

def test_course_py_needs_no_package_and_parses_on_old_pythons():
    source = (COURSE / "course.py").read_text()
    module = ast.parse(source, feature_version=(3, 8))  # or an old Python would show a syntax error, not our sentence
    imported = {node.names[0].name if isinstance(node, ast.Import) else node.module for node in ast.walk(module)
                if isinstance(node, (ast.Import, ast.ImportFrom))}
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)


def test_pythons_are_those_of_pyproject():
    lines = runpy.run_path(str(COURSE / "course.py"))
    stated = tomllib.loads((COURSE / "pyproject.toml").read_text())["project"]["requires-python"]
    oldest, newest = lines["OLDEST"], lines["NEWEST"]
    assert stated == f">={oldest[0]}.{oldest[1]},<{newest[0]}.{newest[1] + 1}"


@pytest.mark.parametrize("command", COMMANDS)
def test_help(tree, command):
    done = course(tree, command, "--help")
    assert done.returncode == 0 and "examples:" in done.stdout and "--here" in done.stdout
    assert not (tree / ".venv").exists()


def test_help_names_every_command(tree):
    done = course(tree, "--help")
    assert done.returncode == 0 and all(re.search(rf"(?m)^ +{command} ", done.stdout) for command in COMMANDS)


@pytest.mark.parametrize("arguments", [(), ("dance",), ("warm", "--", "x"), ("lab", "--port", "many")])
def test_wrong_command_line(tree, arguments):
    done = course(tree, *arguments)
    assert done.returncode == 2 and "error:" in done.stderr and "Traceback" not in done.stderr


# ---- Machines and folders on which the course cannot run -----------------------------------------------------------

@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_python(tree, command):
    refused(course(tree, command, before="sys.version_info = (3, 10, 13, 'final', 0)"), "3.11, 3.12 or 3.13", "3.10.13")


def test_too_new_python(tree):
    refused(course(tree, "warm", before="sys.version_info = (3, 14, 0, 'final', 0)"), "3.11, 3.12 or 3.13")


def test_intel_mac(tree):
    mac = "import platform\nplatform.system, platform.machine = lambda: 'Darwin', lambda: 'x86_64'"
    refused(course(tree, "warm", before=mac), "Colab or Binder")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_no_venv_module(tree, module):
    refused(course(tree, "warm", before=f"sys.modules[{module!r}] = None"), "sudo apt install python3-venv")


def test_externally_managed_python(tree, tmp_path):
    (tmp_path / "EXTERNALLY-MANAGED").touch()
    debian = f"import sysconfig\nsysconfig.get_path = lambda *a, **k: {str(tmp_path)!r}\nsys.base_prefix = sys.prefix"
    refused(course(tree, "warm", "--here", before=debian), "leave out --here")
    refused(course(tree, "warm", before=debian, COURSE_HERE="1"), "leave out --here")


def test_no_room_on_the_disk(tree):
    full = "import shutil\nshutil.disk_usage = lambda folder: shutil._ntuple_diskusage(10**12, 10**12 - 10**8, 10**8)"
    refused(course(tree, "warm", before=full), "0.1 GB", "2.5 GB", "same command again")
    assert not (tree / ".venv").exists()


def test_a_folder_of_something_else_is_left_alone(tree):
    (tree / ".venv").mkdir()
    (tree / ".venv" / "thesis.txt").write_text("precious")
    refused(course(tree, "warm"), "move it away")
    assert (tree / ".venv" / "thesis.txt").read_text() == "precious"


def test_disk_that_fills_up_meanwhile(tree):
    full = "import os\ndef full(*_): raise OSError(28, 'No space left on device')\nos.replace = full"
    refused(course(tree, "warm", before=full), "No space left on device")


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock"])
def test_incomplete_copy(ready, name):
    (ready / name).unlink()
    refused(course(ready, "warm"), name, "git clone")


def test_damaged_pyproject(ready):
    (ready / "pyproject.toml").write_text("[project\n")
    refused(course(ready, "warm"), "pyproject.toml is damaged")


# ---- Set-up --------------------------------------------------------------------------------------------------------

def test_first_run_installs_and_second_does_nothing(first_run):
    tree, first = first_run
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Installing PyTorch 2.13.0" in first.stdout and "weights are ready" in first.stdout
    assert {"torch": "2.13.0", "tinypackage": "1.0"}.items() <= versions(tree).items()
    second = course(tree, "warm", PIP_FIND_LINKS="")
    assert second.returncode == 0 and "Installing" not in second.stdout and "Making" not in second.stdout
    assert "weights are ready" in second.stdout


def test_changed_lock_repeats_only_its_step(ready):
    sha256 = make_wheel(ready / "wheels", "tinypackage", "1.1")
    write_project(ready, ["torch>=2.11", "tinypackage>=1"], "2.13.0", [("tinypackage==1.1", sha256)])
    done = course(ready, "warm")
    assert done.returncode == 0 and "PyTorch" not in done.stdout
    assert versions(ready)["tinypackage"] == "1.1"


def test_changed_torch_repeats_only_its_step(ready):
    make_wheel(ready / "wheels", "torch", "2.14.0+cpu")
    text = (ready / "pyproject.toml").read_text()
    (ready / "pyproject.toml").write_text(text.replace('torch = "2.13.0"', 'torch = "2.14.0"'))
    done = course(ready, "warm")
    assert done.returncode == 0 and "requirements.lock" not in done.stdout
    assert versions(ready)["torch"] == "2.14.0+cpu"  # a build of the pinned version is the pinned version
    assert "Installing" not in course(ready, "warm").stdout


def test_wrong_hash(ready):
    write_project(ready, ["torch>=2.11", "tinypackage>=1"], "2.13.0", [("tinypackage==1.0", "0" * 64)])
    shutil.rmtree(next(site(ready).glob("tinypackage-*.dist-info")))
    refused(course(ready, "warm"), "wrong hash", "was not installed")
    assert "tinypackage" not in versions(ready)


def test_network_dead_halfway_then_back(tree):
    """PyTorch arrives (its CPU index is dead, but pip's own configuration has a wheel); then the network is gone."""
    wheel = next((tree / "wheels").glob("tinypackage*"))
    away = wheel.rename(tree / wheel.name)
    dead = {"PIP_INDEX_URL": DEAD + "/simple", "PIP_NO_INDEX": "0", "PIP_RETRIES": "1", "https_proxy": DEAD, "HTTPS_PROXY": DEAD}
    broken = course(tree, "warm", **dead)
    refused(broken, "requirements.lock failed", "cannot be reached", "same command again")
    assert "weights are ready" not in broken.stdout and versions(tree)["torch"] == "2.13.0"
    away.rename(wheel)
    back = course(tree, "warm")
    assert back.returncode == 0 and "PyTorch" not in back.stdout and "Making" not in back.stdout
    assert versions(tree)["tinypackage"] == "1.0"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process group on Windows")
def test_interrupted_while_installing_then_continued(ready):
    """Ctrl-C while pip waits for an index that never answers."""
    asked = threading.Event()

    class Silent(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.set()
            time.sleep(20)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sha256 = make_wheel(ready / "wheels", "tinypackage", "1.1")
    write_project(ready, ["torch>=2.11", "tinypackage>=1"], "2.13.0", [("tinypackage==1.1", sha256)])
    slow = settings(ready, PIP_NO_INDEX="0", PIP_INDEX_URL=f"http://127.0.0.1:{server.server_port}/simple", no_proxy="127.0.0.1")
    process = subprocess.Popen([sys.executable, "course.py", "warm"], cwd=ready, env=slow, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, preexec_fn=heed_ctrl_c)
    try:
        assert asked.wait(60)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        server.shutdown()
    refused(subprocess.CompletedProcess([], process.returncode, out, err), "Interrupted", "same command again", status=130)
    again = course(ready, "warm")
    assert again.returncode == 0 and versions(ready)["tinypackage"] == "1.1"


def test_half_made_environment_is_made_again(ready):
    shutil.rmtree(site(ready) / "pip")
    done = course(ready, "warm")
    assert done.returncode == 0 and "Making the environment" in done.stdout
    assert {"torch": "2.13.0", "tinypackage": "1.0"}.items() <= versions(ready).items()


def test_half_installed_package_is_installed_again(ready):
    """Power off while pip was unpacking: the package looks installed, but files are missing."""
    (ready / ".venv" / "course-setup.json").write_text('{"torch": "2.13.0"}')
    (site(ready) / "tinypackage.py").unlink()
    (next(site(ready).glob("tinypackage-*.dist-info")) / "INSTALLER").unlink()
    assert course(ready, "warm").returncode == 0
    assert (site(ready) / "tinypackage.py").exists()


def test_remains_of_a_removed_package_do_no_harm(ready):
    (site(ready) / "~orch-2.13.0.dist-info").mkdir()
    (site(ready) / "broken-1.0.dist-info").mkdir()
    done = course(ready, "warm")
    assert done.returncode == 0 and "Installing" not in done.stdout and "Making" not in done.stdout


def test_here_uses_this_python(ready):
    """With everything there, --here installs nothing and makes no .venv; with something missing, it installs that."""
    python = str((ready / ".venv").rename(ready / "conda") / VENV_PYTHON)
    done = course(ready, "warm", "--here", python=python, PIP_FIND_LINKS="")
    assert done.returncode == 0 and "Installing" not in done.stdout
    shutil.rmtree(next((ready / "conda").rglob("tinypackage-*.dist-info")))
    done = course(ready, "warm", python=python, COURSE_HERE="1")
    assert done.returncode == 0 and "PyTorch" not in done.stdout and "requirements.lock" in done.stdout
    assert not (ready / ".venv").exists()


def test_failure_of_the_weights_is_the_commands_failure(ready):
    (ready / "helpers" / "weights.py").write_text('import sys; sys.exit("course: no weights today")\n')
    refused(course(ready, "warm"), "no weights today")


@pytest.mark.parametrize("said, cause", [
    ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
    ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "wrong hash"),
    ("WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for x", "network"),
    ("ReadTimeoutError: HTTPSConnectionPool: Read timed out.", "network"),
    ("ERROR: No matching distribution found for torch==2.13.0", "Colab or Binder"),
    ("ERROR: [WinError 5] Access is denied", "cannot be written"),
    ("Segmentation fault", "lines above"),
])
def test_cause(said, cause):
    assert cause in runpy.run_path(str(COURSE / "course.py"))["cause"](said)


# ---- Commands ------------------------------------------------------------------------------------------------------

@pytest.fixture
def testable(tree):
    """A tiny course whose packages are those of the Python that runs these tests, for --here."""
    torch, pytest_version = importlib.metadata.version("torch").split("+")[0], importlib.metadata.version("pytest")
    write_project(tree, ["torch>=2", "pytest>=8"], torch, [(f"pytest=={pytest_version}", "0" * 64)])
    (tree / "tests").mkdir()
    (tree / "notebooks").mkdir()
    return tree


def test_test_without_tests_fails(testable):
    refused(course(testable, "test", "--here"), "no test")


def test_test_is_offline_strict_and_leaves_results_alone(testable, tmp_path):
    (testable / "tests" / "test_it.py").write_text(
        "import os, urllib.request, pytest\n"
        "def test_it():\n"
        "    assert os.environ['HF_HUB_OFFLINE'] == os.environ['TRANSFORMERS_OFFLINE'] == os.environ['COURSE_STRICT'] == '1'\n"
        f"    assert os.path.isdir(os.environ['COURSE_DATA']) and os.environ['COURSE_DATA'] != {str(tmp_path)!r}\n"
        "    with pytest.raises(OSError):\n"
        "        urllib.request.urlopen('http://example.org', timeout=5)\n"
        "def test_other():\n"
        "    assert False\n"
    )
    assert course(testable, "test", "--here", COURSE_DATA=str(tmp_path)).returncode == 1
    assert course(testable, "test", "--here", "--", "-k", "not other", COURSE_DATA=str(tmp_path)).returncode == 0
    assert course(testable, "test", "tests/test_it.py::test_it", "--here").returncode == 0


def test_run_hands_over_paths_as_the_user_meant_them(ready):
    (ready / "helpers" / "running.py").write_text("import json, sys; print(json.dumps(sys.argv[1:])); sys.exit(3)\n")
    (ready / "mine.ipynb").touch()
    done = course(ready, "run", "01_rag_basics", "mine.ipynb", "--out", "there", "--save")
    assert done.returncode == 3
    assert json.loads(done.stdout.splitlines()[-1]) == ["01_rag_basics", str(ready / "mine.ipynb"), "--out", str(ready / "there"), "--save"]


def test_doctor_installs_nothing(tree):
    shutil.copy(COURSE / "pyproject.toml", tree)
    for name in ("__init__", "doctor", "doors"):
        shutil.copy(COURSE / "helpers" / f"{name}.py", tree / "helpers")
    done = course(tree, "doctor", python=getattr(sys, "_base_executable", sys.executable))
    assert done.returncode == 1 and "Traceback" not in done.stderr and "warm" in done.stdout
    assert re.search(r"processor +\S+", done.stdout) and not (tree / ".venv").exists()


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process group on Windows")
def test_lab_opens_the_first_notebook_behind_a_token(tmp_path):
    """The real JupyterLab of this Python: it serves 00_start_here to who has the token, and Ctrl-C ends it."""
    log = tmp_path / "log"
    variables = {**os.environ, "JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_DATA_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "course.py", "lab", "--here", "--no-browser", "--port", "0"], cwd=COURSE,
                                  stdout=out, stderr=subprocess.STDOUT, env=variables, start_new_session=True, preexec_fn=heed_ctrl_c)
    try:
        found, end = None, time.monotonic() + 90
        while not found and server.poll() is None and time.monotonic() < end:
            found = re.search(r"(http://127\.0\.0\.1:\d+)/\S*00_start_here\.ipynb\?token=(\w+)", log.read_text())
            time.sleep(0.2)
        assert found, log.read_text()
        contents = found[1] + "/api/contents/notebooks/00_start_here.ipynb?content=0"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(contents)
        with urllib.request.urlopen(f"{contents}&token={found[2]}") as answer:
            assert json.load(answer)["name"] == "00_start_here.ipynb"
        os.killpg(server.pid, signal.SIGINT)
        assert server.wait(timeout=30) == 0
    finally:
        server.kill()
    assert "Traceback" not in log.read_text()


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs the suite")
def test_processes_that_share_the_suite_share_the_cores():
    """More threads than cores wait for each other: the suite then takes several times as long."""
    from helpers import doctor

    assert int(os.environ["OMP_NUM_THREADS"]) * int(os.environ["PYTEST_XDIST_WORKER_COUNT"]) <= doctor.cores()
