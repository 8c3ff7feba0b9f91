"""Adapters on the disk and on the model: where one is kept, what it carries, and how the one base model puts it on and off."""

import contextlib
import datetime
import hashlib
import json
import os
import platform
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

from helpers import COURSE, CourseError, results, weights

SHIPPED = COURSE / "data" / "reference" / "adapters"


@dataclass(frozen=True)
class Adapter:
    """A trained adapter: its folder, and the report that training left there (loss curve, tokens, seconds, versions …)."""

    folder: Path
    report: dict = field(repr=False)

    @property
    def megabytes(self):
        return (self.folder / "adapter_model.safetensors").stat().st_size / 1e6


def folder():
    """Where adapters trained on this machine are kept: beside the weights, or in your data folder where that cache is shared and read-only.

    Those of a quick run, trained for a quarter of the way, go into the data folder too, where no later run takes them for whole.
    """
    beside = os.access(weights.cache_folder(), os.W_OK) and not results.quick()
    return (weights.cache_folder() if beside else results.data_folder()) / "adapters"


def place(llm, rows, recipe, within=None, start=None):
    """The folder of the adapter that these rows and this recipe make on this base: named by a hash over all three, and over the adapter it
    starts from, if any. within: default folder()."""
    what = json.dumps([list(map(list, rows)), asdict(recipe), base_key(), start and start.report["sha256"]], ensure_ascii=False, default=str)
    key = hashlib.sha256(what.encode()).hexdigest()[:12]
    shared = weights.cache_folder() / "adapters" / key
    return Path(within) / key if within else shared if shared.exists() else folder() / key


def base_key():
    """Twelve digits that name the base weights, the same on every machine and in every precision."""
    return weights.language_model_hash()[:12]


def save(llm, tuned, report, folder):
    """Write an adapter (bf16 safetensors, its configuration, the report) beside its place, then rename: there is never half a one."""
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file, save_file

    beside = folder.with_name(folder.name + ".new")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        tuned.save_pretrained(str(beside), safe_serialization=True)
        (beside / "README.md").unlink(missing_ok=True)
        file = beside / "adapter_model.safetensors"
        save_file({name: weight.to(torch.bfloat16) for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})
        configuration = json.loads((beside / "adapter_config.json").read_text(encoding="utf-8"))
        configuration["base_model_name_or_path"] = llm.name  # not the folder of this machine
        (beside / "adapter_config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        whole = {**report, "sha256": weights.hash_file(file), "date": datetime.date.today().isoformat(), "python": platform.python_version(),
                 "torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
        lines = ",\n ".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in whole.items())  # one line each, the losses too
        (beside / "report.json").write_text(f"{{{lines}}}\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        beside.rename(folder)
    except OSError as problem:
        shutil.rmtree(beside, ignore_errors=True)
        raise CourseError(f"The adapter could not be kept in {folder} ({problem.strerror}): make room there, or set COURSE_DATA to another folder, "
                          "and start again; the training goes on from its last checkpoint.") from problem


def load(folder):
    """The adapter in a folder. Raises CourseError where there is none, or where a file of it is missing or damaged."""
    folder = Path(folder)
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        hashed = weights.hash_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError) as problem:
        raise CourseError(f"There is no whole adapter in {folder} ({problem}): train it, or take that folder away and fetch it again.") from problem
    if hashed != report["sha256"]:
        raise CourseError(f"The adapter in {folder} is damaged (its hash is {hashed[:12]}, not {report['sha256'][:12]}): "
                          "take that folder away, and train or fetch it again.")
    return Adapter(folder, report)


def ship(adapter, name):
    """Copy an adapter to where those lie that come with the course, and return the copy."""
    beside = SHIPPED / f"{name}.new"
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(adapter.folder, beside)
    shutil.rmtree(SHIPPED / name, ignore_errors=True)
    beside.rename(SHIPPED / name)
    return load(SHIPPED / name)


def check_made_from(adapter, key):
    """Raise CourseError unless an adapter's key is this one: its rows, recipe and base are then those of this course."""
    if adapter.report["key"] != key:
        raise CourseError(f"The adapter in {adapter.folder} was made from other rows or by another recipe (its key is {adapter.report['key']}, this data's "
                          f"is {key}): put data/ back with `git checkout data`, or train your own with tuning.train(…).")


def change(llm):
    """What the attached adapter would do to the weights if it were added to them: (share of all weights that come out different in the
    model's own precision, size of the change relative to the weights, both as Frobenius norms over the adapted layers)."""
    import torch

    moved = change = size = 0.0
    with torch.inference_mode():
        for layer in (module for module in llm.model.modules() if hasattr(module, "lora_A")):
            weight = layer.base_layer.weight
            delta = layer.get_delta_weight("default").to(weight.dtype)
            moved += (weight + delta != weight).sum().item()
            change, size = change + delta.float().square().sum().item(), size + weight.float().square().sum().item()
    everything = sum(weight.numel() for name, weight in llm.model.named_parameters() if "lora_" not in name)
    return moved / everything, (change / size) ** 0.5


@contextlib.contextmanager
def attached(llm, adapter):
    """Inside `with`, the model answers with this adapter; after it, as before. One base model in memory serves any number of adapters.

    Raises CourseError for an adapter that was trained on another base model.
    """
    if adapter.report["base"] != base_key():
        raise CourseError(f"This adapter was trained on the base weights {adapter.report['base']}, and the model loaded has {base_key()}: "
                          "unset COURSE_MODEL, or train the adapter on this model.")
    from peft import PeftModel

    with weights.quiet_transformers():
        tuned = PeftModel.from_pretrained(llm.model, str(adapter.folder), autocast_adapter_dtype=False)
    for name, weight in tuned.named_parameters():
        if "lora_" in name:  # and nothing else: `tuned.to(dtype)` would round the base model's table of positions for good
            weight.data = weight.data.to(llm.model.dtype)
    tuned.eval()
    try:
        yield llm
    finally:
        tuned.unload()
