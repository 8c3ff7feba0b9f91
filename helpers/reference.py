"""The reference run: every notebook at full size, once per seed, with the provenance of each record. Can be interrupted and resumed.

What it keeps: data/reference/results.jsonl (all records) and data/reference/provenance.json (for each notebook and seed, the hashes of
what went in, versions, threads, hash of the helpers, seconds, peak memory). Neither is edited by hand.
"""

import argparse
import datetime
import hashlib
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from helpers import COURSE, CourseError, doors, running, weights, world

FOLDER = COURSE / "data" / "reference"
SEEDS = (0, 1, 2)  # fixed before the first run


def inputs(path):
    """What a notebook's records depend on: its code, the data, the model. A change of any of them makes its records stale."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = "\0".join("".join(c["source"]) for c in cells if c["cell_type"] == "code" and "colab" not in c["metadata"].get("tags", []))
    chosen = os.environ.get("COURSE_MODEL")
    return {
        "code": hashlib.sha256(code.encode()).hexdigest()[:12],
        "data_version": world.data_version(),
        "model": weights.model_name(),
        "weights": "chosen by COURSE_MODEL" if chosen else weights.LANGUAGE_MODEL.weights_sha256[:12],
    }


def provenance(folder=FOLDER):
    """"NOTEBOOK/SEED" → inputs, versions, threads, helpers, seconds, peak_gb, date; empty where there is no reference run yet."""
    path = folder / "provenance.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def stale(folder=FOLDER, root=COURSE):
    """Keys of the provenance whose inputs are no longer what they were, or whose notebook is gone."""
    paths = {path.stem: path for path in doors.notebooks(root)}
    kept = provenance(folder)
    return [key for key, row in kept.items() if (stem := key.rpartition("/")[0]) not in paths or row["inputs"] != inputs(paths[stem])]


def run(paths, seeds=SEEDS, folder=FOLDER, cell_seconds=4 * 3600, again=False):
    """Execute the notebooks at full size, seed by seed, and keep the records of each as soon as it has ended.

    A notebook and seed whose records are there and current is left out, unless `again` (a clock was disturbed; replies kept on disk are not written twice). Raises CellFailed at the first failure; what was finished stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for path in paths:
            key = f"{path.stem}/{seed}"
            used = inputs(path)
            if not again and provenance(folder).get(key, {}).get("inputs") == used:
                print(f"{key}: there already", flush=True)
                continue
            with tempfile.TemporaryDirectory(prefix="course-reference-") as staging:
                results = Path(staging) / "results.jsonl"
                results.touch()
                variables = {"COURSE_SIZE": "full", "COURSE_SEED": str(seed), "COURSE_RESULTS": str(results), "COURSE_DATA": staging,
                             "COURSE_REPLIES": str(weights.cache_folder() / "replies")}
                seconds, gigabytes = running.execute(running.load(path), path, variables, cell_seconds)
                keep(path, seed, used, results.read_text(encoding="utf-8").splitlines(), seconds, gigabytes, folder)
            print(f"{key}: {seconds:.0f} s, peak {gigabytes:.2f} GB", flush=True)


def keep(path, seed, used, texts, seconds, gigabytes, folder=FOLDER):
    """Put one run's records into results.jsonl in place of older ones of the same notebook and seed, and its provenance beside them.

    used: what `inputs` said when the run began; the notebook may have been edited since.
    """
    import torch
    import transformers

    fresh = {}
    for line in map(json.loads, texts):
        line["source"] = "reference"
        fresh[tuple(line[name] for name in ("experiment", "arm", "group", "metric", "seed"))] = line
    file = folder / "results.jsonl"
    older = [json.loads(text) for text in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    lines = [line for line in older if (line["notebook"], line["seed"]) != (path.stem, seed)] + list(fresh.values())
    lines.sort(key=lambda line: (line["notebook"], line["seed"]))
    rows = provenance(folder)
    rows[f"{path.stem}/{seed}"] = {
        "inputs": used, "seconds": round(seconds), "peak_gb": round(gigabytes, 2), "records": len(fresh),
        "precision": next(iter(fresh.values()))["precision"] if fresh else None, "date": datetime.date.today().isoformat(),
        "threads": torch.get_num_threads(), "helpers": _helpers_hash(), "python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
    }
    _write(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    _write(folder / "provenance.json", json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


def _helpers_hash():
    """Twelve digits over the code of the helpers: told with the records, though not every change of it touches them."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _write(path, text):
    """Write beside the place first, then rename, so that an interruption leaves the old file whole."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m helpers.reference", description=__doc__)
    parser.add_argument("notebooks", nargs="*", metavar="NOTEBOOK", help="a name such as 01_rag_basics (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS), help="default: 0 1 2")
    parser.add_argument("--again", action="store_true", help="also what is there and current")
    options = parser.parse_args(arguments)
    try:
        run(running.find(options.notebooks), options.seeds, again=options.again)
    except CourseError as problem:
        sys.exit(f"course: {problem}")
    except KeyboardInterrupt:
        print("\ncourse: Interrupted. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
