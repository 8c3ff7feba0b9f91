"""What makes a notebook a lesson: begin, predict, check, and sentences rendered from results."""

import json
import os
import sys

from helpers import CourseError, results

DOLLAR = "<span>&#36;</span>"  # what stands between two plain ones is set as a formula, in JupyterLab even if they are escaped


def begin(notebook):
    """Name the notebook, fix the figures' style, and say in one line which model and precision this machine uses."""
    from helpers import llm, plots, weights

    results.set_notebook(notebook)
    plots.use_house_style()
    precision = {"bf16": "16-bit numbers (bfloat16)", "fp16": "16-bit numbers (float16)", "fp32": "32-bit numbers"}[llm.choose_precision()]
    say(f"This notebook runs **{weights.model_name()}** on this machine in {precision}: {llm.precision_reason()}.")


def say(text):
    """Show a Markdown sentence: every sentence that quotes a result is rendered from the result.

    A dollar sign is money here, and shown as DOLLAR.
    """
    from IPython.display import Markdown, display

    display(Markdown(text.replace("$", DOLLAR)))


def predict(name, question, guess=None, unit=""):
    """Ask for a number before the experiment runs, and keep it for the recap.

    guess: the learner's number, in place of `None` or `...`. Without one, the lesson goes on and the recap shows a dash.
    Raises CourseError when the guess is no number.
    """
    if guess in (None, ...):
        return say(f"**Predict.** {question} Write your number as `guess=` in the cell above and run it again. "
                   "A guess made first is what makes the answer stick.")
    if isinstance(guess, bool) or not isinstance(guess, (int, float)):
        raise CourseError(f"Your guess is {guess!r}: write a number, such as guess=12.")
    _keep({**predictions(), name: {"question": question, "guess": guess, "unit": unit}})
    say(f"Your guess is kept: **{guess:g}{_spaced(unit)}**. Now measure.")


def _keep(guesses):
    """Write the guesses beside their file and rename, so that an interruption leaves the old ones."""
    path = results.data_folder() / "predictions.json"
    fresh = path.with_name(f"predictions-{os.getpid()}.tmp")
    fresh.write_text(json.dumps(guesses, ensure_ascii=False, indent=1), encoding="utf-8")
    fresh.replace(path)


def predictions():
    """The guesses kept so far: name → question, guess, unit and, once it is known, measured. Raises CourseError when their file is damaged."""
    path = results.data_folder() / "predictions.json"
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {name: {**guess, "guess": float(guess["guess"])} for name, guess in kept.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise CourseError(f"{path} is damaged: delete it; your guesses start anew.") from problem


def against_guess(name, measured, of=""):
    """A sentence that sets a guess beside what was measured, which is kept with it. Empty when there was no guess. of: what was guessed, where several were."""
    guesses = predictions()
    if name not in guesses:
        return ""
    guesses[name]["measured"] = float(measured)
    _keep(guesses)
    kept = guesses[name]
    return f" {f'For {of} you' if of else 'You'} guessed {kept['guess']:g}{_spaced(kept['unit'])}; it came out at {measured:.3g}{_spaced(kept['unit'])}."


def _spaced(unit):
    return unit if unit in ("", "%") else f" {unit}"


def beside_reference(line):
    """A sentence that sets a live figure beside the reference run's where it lies outside the intervals of all its seeds; else empty."""
    from helpers import evidence

    seeds = [one for one in results.reference_of(line) if one["low"] is not None]
    if results.full_size() or not seeds:
        return ""
    known = evidence.joined(seeds)
    return "" if known["low"] <= line["value"] <= known["high"] else f" The reference run, at full size, has {span(known)}: trust that more than this small run."


def span(line):
    """The interval of a line as text: "18% to 46%"."""
    number = {"fraction": lambda value: f"{value:.0%}", "difference": lambda value: f"{100 * value:+.0f} points"}.get(line["unit"], lambda value: f"{value:.3g}")
    return f"{number(line['low'])} to {number(line['high'])}"


def check(holds, relied_on, otherwise):
    """A checkpoint: say that what the lesson relies on holds here, or explain why it may not. Raises under COURSE_STRICT=1.

    holds: what this machine measured, compared. relied_on: the sentence that is then true. otherwise: what to make of it if not.
    """
    if holds:
        return say(f"✓ **Checkpoint.** {relied_on}")
    if os.environ.get("COURSE_STRICT") == "1":
        raise AssertionError(f"Checkpoint failed: expected «{relied_on}» {otherwise}")
    say(f"✗ **Checkpoint.** Here this did not happen: «{relied_on}» {otherwise}")


def machine_report():
    """What this machine is, name → text: processor, memory, precision, versions."""
    import platform

    import torch
    import transformers

    from helpers import doctor, llm, weights, world

    return {
        "Processor": f"{doctor.cores()} cores, {platform.machine()}",
        "Memory": f"{doctor.memory():.0f} GB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none, and none is needed",
        "Precision": f"{llm.choose_precision()}: {llm.precision_reason()}",
        "Language model": weights.model_name(),
        "Python, torch, transformers": f"{sys.version.split()[0]}, {torch.__version__}, {transformers.__version__}",
        "Data version": world.data_version(),
    }
