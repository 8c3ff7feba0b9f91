#!/usr/bin/env python3
"""RAG or fine-tuning? This one file sets the course up and runs it. Start with: python3 course.py lab

It uses only the standard library, so it works before anything is installed. Every command first does whatever set-up is
still missing, in steps that are remembered: an environment in .venv, PyTorch, the locked packages, the model weights.
"""
import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
MARKER = VENV / "course-setup.json"  # which steps are finished, for which versions
OLDEST, NEWEST = (3, 11), (3, 13)  # a test holds these against requires-python
TORCH_CPU = "https://download.pytorch.org/whl/cpu"
COMMAND = "py course.py" if os.name == "nt" else "python3 course.py"
AGAIN = "Then run the same command again: finished steps are kept."

# Run by the environment's Python: what it is and what it has. Reversed, so that what would be imported wins.
PROBE = """
import importlib.metadata, importlib.util, json, re, sys, sysconfig
versions = {}
for found in reversed(list(importlib.metadata.distributions())):
    try:
        versions[re.sub("[-_.]+", "-", found.metadata["Name"]).lower()] = found.version
    except Exception:
        pass  # what is left of a package that was removed or installed by half
print(json.dumps({"python": sys.version_info[:2], "site": sysconfig.get_path("purelib"), "versions": versions,
                  "pip": importlib.util.find_spec("pip") is not None}))
"""


class Stop(Exception):
    """The command cannot go on; the text is one sentence that says why and what to do."""


# ---- What this machine and this folder are -------------------------------------------------------------------------

def check_python():
    """Raise Stop unless this Python is one that every package of the course has wheels for."""
    if not OLDEST <= tuple(sys.version_info[:2]) <= NEWEST:
        name = "py -3.12" if os.name == "nt" else "python3.12"
        this = ".".join(map(str, sys.version_info[:3]))
        raise Stop(f"The course needs Python 3.11, 3.12 or 3.13 and this is Python {this}: install one of those "
                   f"(python.org/downloads) and run it by its name, for example `{name} course.py lab`.")
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        raise Stop("PyTorch no longer comes for Macs with an Intel processor: use the Colab or Binder links in README.md "
                   "(on a Mac with Apple silicon, install the arm64 Python instead of this Intel one).")
    if sys.maxsize < 2**32:
        raise Stop("This is a 32-bit Python and PyTorch needs a 64-bit one: install that from python.org/downloads.")


def read(name):
    """The text of a file of the course's folder."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except OSError as error:
        raise Stop(f"Cannot read {ROOT / name} ({error.strerror}): get a complete copy of the course, for example with `git clone`.")


def project():
    """pyproject.toml as a dictionary."""
    import tomllib  # new in Python 3.11, so not before check_python
    try:
        return tomllib.loads(read("pyproject.toml"))
    except tomllib.TOMLDecodeError as error:
        raise Stop(f"pyproject.toml is damaged ({error}): restore it, for example with `git checkout pyproject.toml`.")


def plain(name):
    """A package name as the index compares it: 'Foo_Bar' and 'foo.bar' are both 'foo-bar'."""
    return re.sub("[-_.]+", "-", name).lower()


def direct_packages(config, dev):
    """Names of the packages that pyproject.toml asks for, PyTorch apart; with `dev`, those of the tests as well."""
    wanted = config["project"]["dependencies"] + (config["dependency-groups"]["dev"] if dev else [])
    return [plain(re.match("[A-Za-z0-9._-]+", line).group()) for line in wanted if not line.startswith("torch>")]


def locked_versions():
    """Package name -> its versions in requirements.lock (some have one for each of several Pythons)."""
    versions = {}
    for name, version in re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", read("requirements.lock")):
        versions.setdefault(plain(name), set()).add(version)
    return versions


def look(python):
    """What PROBE says of the Python at this path; None when it does not run (missing, half made, moved)."""
    try:
        done = subprocess.run([str(python), "-c", PROBE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=str(ROOT))
        return json.loads(done.stdout.decode()) if done.returncode == 0 else None
    except (OSError, ValueError):
        return None


def check_disk(folder, gigabytes):
    free = shutil.disk_usage(str(folder)).free / 1e9
    if free < gigabytes:
        raise Stop(f"Only {free:.1f} GB are free on the disk of {folder} and the set-up needs about {gigabytes} GB: make room. {AGAIN}")


# ---- Set-up, step by step ------------------------------------------------------------------------------------------

def finished():
    """The steps that are finished in .venv, as {'torch': version, 'lock': hash}."""
    try:
        return json.loads(MARKER.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def finish(**step):
    """Remember a finished step; written beside and renamed, so that an interruption never leaves half a marker."""
    beside = MARKER.with_suffix(".part")
    beside.write_text(json.dumps(dict(finished(), **step)), encoding="utf-8")
    os.replace(str(beside), str(MARKER))


def make_venv():
    """What .venv is after making it, or making it again where it is only half there."""
    found = look(VENV_PYTHON)
    if found and found["pip"] and OLDEST <= tuple(found["python"]) <= NEWEST:
        return found
    if VENV.exists() and not MARKER.exists() and (not VENV.is_dir() or any(VENV.iterdir())):
        raise Stop(f"{VENV} is there but is no environment that the course made: move it away. {AGAIN}")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Stop("This Python cannot make an environment because its `venv` module is missing: on Debian or Ubuntu run "
                   "`sudo apt install python3-venv`, elsewhere install Python from python.org/downloads.")
    check_disk(ROOT, 2.5)
    print("Making the environment .venv ...", flush=True)
    try:
        shutil.rmtree(str(VENV), ignore_errors=True)
        VENV.mkdir(exist_ok=True)
        finish()  # from here on the folder is known as ours, whatever happens next
    except OSError as error:
        raise Stop(f"Cannot write to {ROOT} ({error.strerror}): copy the course to a folder of your own.")
    made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = look(VENV_PYTHON)
    if made.returncode or not found:
        said = made.stdout.decode(errors="replace").strip().splitlines() or ["no message"]
        raise Stop(f"`{sys.executable} -m venv` could not make the environment ({said[-1]}).")
    return found


def check_may_install(found):
    """Raise Stop where packages must not, or cannot, be installed into the Python that runs this file."""
    managed = Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED"
    if managed.exists() and sys.prefix == sys.base_prefix:
        raise Stop("This Python belongs to the operating system, which forbids installing packages into it: leave out "
                   "--here (and COURSE_HERE), and the course makes an environment of its own.")
    if not found["pip"]:
        raise Stop(f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip` first, or leave out --here.")


def set_up(here, dev=False):
    """Install what is missing and return the path of the Python to use; quick when nothing is missing."""
    check_python()
    config = project()
    python = sys.executable if here else str(VENV_PYTHON)
    found = look(python) if here else make_venv()
    if found is None:
        raise Stop(f"{python} does not run properly: leave out --here, or install Python from python.org/downloads.")
    torch, locked = config["tool"]["course"]["torch"], locked_versions()
    digest = hashlib.sha256(read("requirements.lock").encode()).hexdigest()
    done = {"torch": torch, "lock": digest} if here else finished()  # with --here, what is installed decides
    have = found["versions"]
    direct = direct_packages(config, dev or not here)
    has_torch = have.get("torch", "").split("+")[0] == torch and done.get("torch") == torch
    has_rest = all(have.get(name) in locked.get(name, ()) for name in direct) and done.get("lock") == digest
    if has_torch and has_rest:
        return python
    if here:
        check_may_install(found)
    else:
        drop_half_installed(Path(found["site"]))
    log = (Path(tempfile.mkdtemp(prefix="course-")) if here else VENV) / "course-setup.log"
    gpu = bool(shutil.which("nvidia-smi")) or os.path.exists("/proc/driver/nvidia/version")
    if not has_torch:
        check_disk(sys.prefix if here else VENV, 9 if gpu else 2.5)
        # The usual Linux wheel brings gigabytes of GPU libraries. Where the CPU index is out of reach, give up on it soon:
        # the index that pip is set up with may have a CPU wheel too.
        cpu = ["--extra-index-url", TORCH_CPU, "--retries", "1", "--timeout", "15"]
        install(python, log, "PyTorch " + torch, ["torch==" + torch] + (cpu if sys.platform == "linux" and not gpu else []))
        if not here:
            finish(torch=torch)
    if not has_rest:
        check_disk(sys.prefix if here else VENV, 1)
        install(python, log, "the packages of requirements.lock", ["--require-hashes", "-r", str(ROOT / "requirements.lock")])
        if not here:
            finish(lock=digest)
    return python


def drop_half_installed(site):
    """Let pip install again what it was interrupted in: it writes INSTALLER last, but believes what METADATA says."""
    for info in site.glob("*.dist-info"):
        if not (info / "INSTALLER").exists():
            shutil.rmtree(str(info))


def install(python, log, title, arguments):
    """Run `pip install`, showing its last line and the seconds so far; the full text goes to `log`. Raise Stop if it fails."""
    print(f"Installing {title} ...", flush=True)
    started, said = time.time(), [""]
    pip = subprocess.Popen([python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check",
                            "--progress-bar", "off"] + arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           cwd=str(ROOT), env=dict(os.environ, PYTHONUNBUFFERED="1", PYTHONUTF8="1", PIP_USER="0"))

    def follow():
        for line in pip.stdout:
            said.append(line.decode(errors="replace").strip())

    reader = threading.Thread(target=follow, daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(timeout=0.5)
            show(f"  {time.time() - started:4.0f} s  {said[-1]}")
        failed = pip.wait()
    finally:
        if pip.poll() is None:  # interrupted: end pip too
            pip.terminate()
            pip.wait()
    show("")
    with contextlib.suppress(OSError):  # on a full disk, say so below rather than fail here
        with open(str(log), "a", encoding="utf-8") as file:
            file.write("\n".join(said) + "\n")
    if failed:
        print("\n".join("  | " + line for line in said[-6:]), file=sys.stderr)
        why = cause("\n".join(said))
        raise Stop(f"Installing {title} failed: {why} {AGAIN} (pip's full text: {log})")
    print(f"  done in {time.time() - started:.0f} s", flush=True)


def show(line, shown=[time.time()]):
    """Show a line in place of the one before; where output is no terminal, a new line every 20 seconds."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width) + ("" if line else "\r"), end="", flush=True)
    elif line and time.time() - shown[0] > 20:
        shown[0] = time.time()
        print(line[:100], flush=True)


def cause(text):
    """The likely cause of pip's failure, and what to do about it, from what pip said."""
    if re.search("No space left|Errno 28|not enough space", text):
        return "the disk is full; make room."
    if re.search("DO NOT MATCH THE HASHES|Hashes are required", text):
        return ("a downloaded file is not the one that requirements.lock names (wrong hash), so it was not installed; try "
                "`pip cache purge` or another network.")
    if re.search("NewConnectionError|ConnectTimeout|ReadTimeout|timed out|ProxyError|SSLError|Could not fetch|"
                 "name resolution|getaddrinfo|Connection (refused|aborted|reset|broken)|Network is unreachable", text):
        return "the package index cannot be reached; check the network (and the proxy, if there is one)."
    if "No matching distribution" in text:
        return ("the package index has nothing that fits this Python and this processor, or did not answer; check the network, "
                "or use the Colab or Binder links in README.md.")
    if re.search("Permission denied|Access is denied|Errno 13", text):
        return "a file cannot be written; close programs that use the environment, and check who owns the folder."
    return "the reason stands in the lines above; remove the cause."


# ---- Commands ------------------------------------------------------------------------------------------------------

def environment(**more):
    """Environment variables of everything the course starts."""
    # Kernels of this environment come before kernels of the same name in the user's own folder. The course's own
    # configuration switches JupyterLab's question about news off.
    config = os.pathsep.join(filter(None, [str(ROOT / ".jupyter"), os.environ.get("JUPYTER_CONFIG_PATH")]))
    # Kernels start in another folder than this command: a relative path must go on meaning the same.
    paths = {name: os.path.abspath(os.path.expanduser(os.environ[name])) for name in ("COURSE_CACHE", "COURSE_DATA", "COURSE_MODEL")
             if os.environ.get(name) and (name != "COURSE_MODEL" or os.path.isdir(os.path.expanduser(os.environ[name])))}
    return dict(os.environ, JUPYTER_PREFER_ENV_PATH="1", JUPYTER_CONFIG_PATH=config, PYTHONUTF8="1", **dict(paths, **more))


def hand_over(command):
    """Become `command`, so that Ctrl-C and its exit status go straight through."""
    variables = environment()
    os.chdir(str(ROOT))
    sys.stdout.flush()
    if os.name != "nt":
        os.execve(command[0], command, variables)
    child = subprocess.Popen(command, env=variables)
    while True:
        try:
            sys.exit(child.wait())
        except KeyboardInterrupt:
            pass  # the child got it too and ends by itself


def ready(options, dev=False):
    """Do all missing set-up, weights included, and return the Python to use."""
    python = set_up(options.here, dev)
    status = subprocess.call([python, "-m", "helpers.weights"], cwd=str(ROOT), env=environment())
    if status:
        sys.exit(status)  # helpers.weights has said why
    return python


def lab(options):
    python = ready(options)
    quiet = ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
             "--LabApp.extension_manager=readonly", "--ServerApp.answer_yes=True",  # no pop-ups, no question at Ctrl-C
             "--MappingKernelManager.transport_encryption=auto",  # or each kernel starts with a warning about plain text
             "--ServerApp.log_level=WARN", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        quiet.append("--allow-root")  # root in a container is nobody's administrator
    hand_over([python, "-m", "jupyterlab", "--ip=127.0.0.1", "--ServerApp.root_dir=" + str(ROOT)] + quiet
              + ([f"--port={options.port}"] if options.port is not None else [])
              + (["--no-browser"] if options.no_browser else []) + options.rest)


def test(options):
    python = ready(options, dev=True)
    paths = [os.path.join(os.getcwd(), path) for path in options.paths] or ["tests", "notebooks"]
    dead = "http://127.0.0.1:9"  # nothing listens there: a test that wants the network fails instead of waiting
    offline = {name: dead for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")}
    offline.update(no_proxy="localhost,127.0.0.1,::1", NO_PROXY="localhost,127.0.0.1,::1")
    for name in ("COURSE_RESULTS", "COURSE_SIZE", "COURSE_SEED"):
        os.environ.pop(name, None)  # the tests' lines are not the learner's
    quick = ["-p", "tests.quick", "-n", "auto", "--dist", "loadfile"] if (ROOT / "tests" / "quick.py").exists() else []
    with tempfile.TemporaryDirectory(prefix="course-test-", ignore_cleanup_errors=True) as data:
        status = subprocess.call(
            [python, "-m", "pytest", *quick, "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"] + options.rest + paths,
            cwd=str(ROOT), env=environment(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", COURSE_STRICT="1",
                                           COURSE_DATA=data, **offline))
    if status == 5:
        where = " ".join(options.paths) or "this copy of the course"
        raise Stop(f"There is no test to run in {where} with these options.")
    sys.exit(status)


def run(options):
    python = ready(options)
    notebooks = [str(Path(name).resolve()) if Path(name).exists() else name for name in options.notebooks]
    out = ["--out", str(Path(options.out).resolve())] if options.out else []
    hand_over([python, "-m", "helpers.running"] + notebooks + out + (["--save"] if options.save else []))


def reference(options):
    python = ready(options)
    hand_over([python, "-m", "helpers.reference"] + options.notebooks + (["--seeds", *options.seeds] if options.seeds else [])
             + (["--again"] if options.again else []))


def warm(options):
    ready(options)
    print(f"Everything is in place. Next: {COMMAND} lab")


def doctor(options):
    check_python()
    made = not options.here and look(VENV_PYTHON)
    hand_over([str(VENV_PYTHON) if made else sys.executable, "-m", "helpers.doctor"])


def bench(options):
    hand_over([ready(options), "-m", "helpers.bench"])


def parse(arguments):
    """The options of the command line, with what follows a bare `--` in `rest`."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--here", action="store_true", default=os.environ.get("COURSE_HERE", "") not in ("", "0"),
                        help="use the Python that runs this file instead of making .venv (for conda, containers, hubs); "
                             "the same as COURSE_HERE=1")
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog=f"{COMMAND} COMMAND --help says more about one command.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(function, summary, more, *examples):
        text = summary + "\n" + more + "\n\nexamples:\n" + "\n".join(f"  {COMMAND} {line}" for line in examples)
        made = commands.add_parser(function.__name__, parents=[shared], help=summary, description=text,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
        made.set_defaults(function=function)
        return made

    made = add(lab, "Set up what is missing and open the course in JupyterLab.",
               "The server listens on this machine only, behind a token. Ctrl-C ends it.",
               "lab", "lab --no-browser --port 8890", "lab -- --debug")
    made.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    made.add_argument("--port", type=int, help="port to listen on (default: 8888, or the next free one)")
    made = add(test, "Set up what is missing and run the whole test suite, network switched off.",
               "What follows -- goes to pytest.", "test", "test tests/test_metrics.py", "test -- -k bootstrap -x")
    made.add_argument("paths", nargs="*", metavar="PATH", help="test files or notebooks (default: all)")
    made = add(run, "Run notebooks without a browser, in order, with one line of progress each.",
               "Your own results and predictions are neither read nor changed. Without a name, all notebooks run.",
               "run", "run 01_rag_basics --out /tmp/measured", "run --save")
    made.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a name such as 01_rag_basics, or a path")
    made.add_argument("--out", metavar="DIR", help="leave the executed notebooks, results.jsonl and report.html in this folder")
    made.add_argument("--save", action="store_true", help="write the outputs back into the notebooks themselves (for authors)")
    made = add(reference, "Recompute data/reference: every notebook at full size, with three seeds (for authors; it takes hours).",
               "What is there and current is left out, so an interrupted run goes on where it stopped.",
               "reference", "reference 01_rag_basics --seeds 0")
    made.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a name such as 01_rag_basics (default: all)")
    made.add_argument("--seeds", nargs="+", metavar="SEED", help="default: 0 1 2")
    made.add_argument("--again", action="store_true", help="recompute also what is there and current")
    add(warm, "Set up everything, weights included, and stop there.", "For container images, hubs and classrooms.",
        "warm", "warm --here")
    add(doctor, "Say what machine this is, what is missing, and how many minutes each notebook will take.",
        "Installs nothing. Ends with status 1 when something is missing or wrong.", "doctor")
    add(bench, "Measure speed and memory, each figure beside its limit.", "Takes some minutes; close other programs first.",
        "bench")
    options = parser.parse_args(arguments[:cut])
    options.rest = arguments[cut + 1:]
    if options.rest and options.command not in ("lab", "test"):
        parser.error("only lab and test take arguments after --")
    return options


def main():
    try:
        check_python()
        options = parse(sys.argv[1:])
        options.function(options)
    except Stop as stop:
        sys.exit(f"course: {stop}")
    except OSError as error:
        sys.exit(f"course: The system refused something ({error}): check that the disk has room and the folder is yours. {AGAIN}")
    except KeyboardInterrupt:
        print("\ncourse: Interrupted. Run the same command again: finished steps are kept.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
