"""Fine-tuning: a LoRA adapter trained with peft and the transformers Trainer, on the answers' tokens only.

An adapter lives in a folder of its own, named by a key over everything that made it: rows, recipe, base weights. Asking for the same
training again finds it there; an interrupted training goes on from its last checkpoint. Started under torchrun, the same call trains on
every process, each taking its share of the micro-batches.
"""

import contextlib
import copy
import ctypes
import gc
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace

from helpers import COURSE, CourseError, adapters, doctor, results, weights
from helpers.lessons import say
from helpers.llm import LanguageModel

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
WINDOW = 1024  # tokens; a longer row is refused
MICRO_TOKENS = {"bf16": 384, "fp16": 384, "fp32": 192}  # tokens that go through the model at once: this bounds memory
SMALL_MICRO_TOKENS = 192  # the same in any precision on a machine with little memory
FAMILY_TOKENS = 384  # that rows which share their beginning may make together, even where the budget is smaller
CHECKPOINTS = 10  # of a training, so that an interrupt loses a tenth at most


@dataclass(frozen=True)
class Recipe:
    """How to train. rank None: every weight of the model instead of an adapter (see train_all_weights).

    step_tokens: tokens (prompts and answers) per optimizer step, about. micro_tokens: tokens that go through the model at once;
    None: what suits the precision and the machine.
    """

    epochs: float = 3
    learning_rate: float = 1e-3
    rank: int | None = 8
    step_tokens: int = 1024
    seed: int = 0
    micro_tokens: int | None = None

    @property
    def alpha(self):
        """LoRA's scale is alpha / rank: the usual choice of 2."""
        return 2 * self.rank


# Rows: (prompt, reply) → token ids, of which only the reply's are learned.

def encode_rows(llm, rows):
    """Rows as token ids: a list of (ids, answer), `answer` the number of ids at the end that belong to the reply (its end mark included).

    rows: (prompt, reply) pairs of text; with an empty prompt every token is learned. Raises CourseError naming the first row that is no such pair, is
    empty, or is longer than WINDOW tokens.
    """
    if not rows:
        raise CourseError("There are no rows to train on: check the selection they come from.")
    end, encoded = [llm.tokenizer.eos_token_id], []
    for number, row in enumerate(rows, 1):
        if not (isinstance(row, (tuple, list)) and len(row) == 2 and all(isinstance(text, str) for text in row) and row[1].strip()):
            raise CourseError(f"Row {number} is {str(row)[:80]!r}: a row is a pair of texts (prompt, reply), and the reply is not empty.")
        prompt, reply = (llm.tokenizer(text, add_special_tokens=False)["input_ids"] for text in row)
        ids = prompt + reply + end
        if len(ids) > WINDOW:
            raise CourseError(f"Row {number} has {len(ids):,} tokens and training reads at most {WINDOW:,}: shorten it ({row[1][:60]!r}).")
        encoded.append((ids, len(reply) + 1 if prompt else len(ids) - 1))
    return encoded


def families(encoded, most_tokens, shared=64):
    """Rows that can share work: a list of (row numbers, tokens shared). Rows one after another make a family while they begin with the same tokens, `shared` or
    more, and come to at most `most_tokens` where these are counted once: several questions about the same passages cost little more than one.
    """
    found = []
    for row, (ids, answer) in enumerate(encoded):
        if found:
            some, begin = found[-1]
            alike = next((n for n, (one, other) in enumerate(zip(ids, encoded[some[0]][0])) if one != other), begin)
            begin = min(begin, alike, len(ids) - answer - 1)
            if begin >= shared and begin + sum(len(encoded[other][0]) - begin for other in (*some, row)) <= most_tokens:
                found[-1] = [*some, row], begin
                continue
        found.append(([row], len(ids) - answer - 1))
    return found


def pack(rows, begin=0):
    """The rows of a family as one: (ids, positions, branches, labels), all of one length.

    The `begin` tokens that they share come first, as branch 0, then the rest of each row as a branch of its own, which sees the beginning and itself (see
    collate_packed). A row alone is branch 0 all through.
    """
    begin = begin if len(rows) > 1 else 0
    ids, positions, branches, labels = list(rows[0][0][:begin]), list(range(begin)), [0] * begin, [-100] * begin
    for branch, (row, answer) in enumerate(rows, start=len(rows) > 1):
        ids += row[begin:]
        positions += range(begin, len(row))
        branches += [branch] * (len(row) - begin)
        labels += [-100] * (len(row) - answer - begin) + row[-answer:]
    return ids, positions, branches, labels


def micro_batches(lengths, most_tokens, epochs, seed):
    """Lists of numbers: all micro-batches of a training, in order, of families of these lengths. A batch holds at most `most_tokens` tokens, padding included.

    Those of similar length go together, so that little is padding: each epoch is shuffled, cut into pools of 64, and each pool sorted.
    """
    draw, batches = random.Random(seed), []
    for epoch in range(math.ceil(epochs)):
        rows = draw.sample(range(len(lengths)), len(lengths))
        rows = rows[: round(len(rows) * min(1, epochs - epoch))]
        fresh = []
        for pool in (sorted(rows[i:i + 64], key=lengths.__getitem__) for i in range(0, len(rows), 64)):
            batch = []
            for row in pool:
                if batch and (len(batch) + 1) * lengths[row] > most_tokens:
                    fresh.append(batch)
                    batch = []
                batch.append(row)
            fresh.append(batch)
        batches += draw.sample(fresh, len(fresh))
    return batches


def collate(llm, rows):
    """Encoded rows as one micro-batch: collate_packed without families."""
    return collate_packed(llm, [pack([row]) for row in rows])


def collate_packed(llm, packed):
    """One micro-batch of packed families as tensors. Padding stands on the left, so that replies end in the same column.

    input_ids, position_ids, labels: [families, longest], −100 where there is nothing to learn; attention_mask: the same shape, or, where there are branches,
    [families, 1, longest, longest] with 0 where a token (row) sees another (column) and a large negative number where not.
    """
    import torch

    longest = max(len(ids) for ids, *_ in packed)
    padded = lambda values, filler: torch.tensor([[filler] * (longest - len(some)) + list(some) for some in values])
    ids, positions, branches, labels = zip(*packed)
    branch, mask = padded(branches, -1), padded([[1] * len(some) for some in ids], 0)
    if branch.max() > 0:
        before = torch.ones(longest, longest, dtype=torch.bool).tril()
        seen = before & ((branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None]))
        mask = torch.zeros(seen.shape, dtype=llm.model.dtype).masked_fill(~seen, torch.finfo(llm.model.dtype).min)[:, None]
    return {"input_ids": padded(ids, llm.tokenizer.pad_token_id), "attention_mask": mask, "position_ids": padded(positions, 0), "labels": padded(labels, -100)}


def answer_loss(model, inputs, learned=None):
    """Cross-entropy of the replies' tokens, summed and divided by `learned` (default: their number in this micro-batch).

    Only the columns in front of a reply's token are turned into logits: over 49,152 tokens these are the largest arrays of all.
    """
    import torch

    labels = inputs["labels"]
    keep = (labels[:, 1:] != -100).any(0).nonzero()[:, 0]
    read = {name: inputs[name] for name in ("input_ids", "attention_mask", "position_ids")}
    logits = model(**read, use_cache=False, logits_to_keep=keep).logits
    total = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels[:, keep + 1].flatten(), ignore_index=-100, reduction="sum")
    return total / (learned if learned is not None else (labels != -100).sum())


def train(llm, rows, recipe=Recipe(), development=(), folder=None, start=None):
    """Train a LoRA adapter on rows, (prompt, reply) pairs of text, and return it (adapters.Adapter). The model itself is left as it was.

    development: rows whose loss is measured at every tenth of the way. start: an adapter to train on from, in place of a fresh one. folder: where adapters are kept (default: adapters.folder()).
    The same rows, recipe and base give the adapter that is there already; an interrupted training goes on from its last checkpoint.
    Raises CourseError for bad rows, a loss that is no number, no room on the disk, or too little memory.
    """
    done = adapters.place(llm, rows, recipe, folder, start)
    with contextlib.suppress(CourseError):  # a damaged one is trained anew
        return adapters.load(done)
    from peft import LoraConfig, PeftModel, get_peft_model

    encoded, held = encode_rows(llm, rows), encode_rows(llm, development) if development else []
    work = done.with_name(done.name + ".part")
    _seed(recipe.seed)
    with weights.quiet_transformers():
        if start:
            tuned = PeftModel.from_pretrained(llm.model, str(start.folder), is_trainable=True)
            tuned.peft_config["default"].base_model_name_or_path = llm.model.name_or_path  # where peft looks for the vocabulary's size, else on the network
        else:
            tuned = get_peft_model(llm.model, LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(LINEAR), task_type="CAUSAL_LM"))
    try:
        report = _fit(llm, tuned, encoded, held, recipe, work)
        if _rank() == 0:
            adapters.save(llm, tuned, {**report, "key": done.name}, done)
            shutil.rmtree(work, ignore_errors=True)
    finally:
        tuned.unload()
        llm.model.eval()
    _wait_for_all()
    return adapters.load(done)


def ready(llm, name, rows, recipe, development=()):
    """The long-trained adapter `name`: the one that ships with the course, where this very training made it.

    For another base model ($COURSE_MODEL) it is trained now, after saying how long that takes. In the full size it is trained with the run's
    seed unless that is the one that ships; what seed 0 gives, ships. To have it trained again, take its folder in data/reference/adapters away.
    With another seed a short run still takes the shipped one, of seed 0.
    Raises CourseError where the shipped one was made on this base from other rows or by another recipe.
    """
    full = results.full_size()
    recipe = replace(recipe, seed=results.seed()) if full else recipe
    key = adapters.place(llm, rows, recipe).name
    try:
        shipped = adapters.load(adapters.SHIPPED / name)
    except CourseError:
        shipped = None
    if shipped and shipped.report["key"] == key:
        return shipped
    if full:
        adapter = train(llm, rows, recipe, development)
        return adapters.ship(adapter, name) if results.seed() == 0 else adapter
    if shipped and shipped.report["base"] == adapters.base_key():
        if not results.seed():  # with another seed a page may have drawn other rows: what ships is of seed 0 all the same
            adapters.check_made_from(shipped, key)
        return shipped
    tokens = recipe.epochs * sum(len(ids) for ids, _ in encode_rows(llm, rows))
    rate = 600 if llm.precision == "bf16" else 250  # tokens per second on two cores; a larger model takes longer in proportion
    say(f"No adapter \"{name}\" ships for this base model, so it is trained now: about {math.ceil(tokens / rate / 60)} minutes for a model of this size.")
    return train(llm, rows, recipe, development)


def train_all_weights(llm, rows, recipe, development=(), keep=True):
    """The same training for every weight of the model, in 32 bits: (LanguageModel, report). keep: train a copy, and leave `llm` as it was.

    It takes about 2.2 GB more memory than the model, and a copy 0.5 GB. Nothing is kept on the disk.
    """
    import torch

    trained = (copy.deepcopy(llm.model) if keep else llm.model).to(torch.float32).requires_grad_(True)  # adapters leave the base frozen
    encoded, held = encode_rows(llm, rows), encode_rows(llm, development) if development else []
    _seed(recipe.seed)
    report = _fit(llm, trained, encoded, held, recipe, work=None)
    return LanguageModel(trained.to(llm.model.dtype).eval(), llm.tokenizer, llm.name, llm.precision), report


def trial(rows, rank, epochs=1):
    """The report of a short training in a process of its own, in 32 bits, so that its peak memory is its own: an adapter of this rank, or all weights (None)."""
    code = ("import json, sys\nfrom helpers import llm, tuning\n"
            "rows, rank, epochs, folder = json.load(sys.stdin)\nrecipe = tuning.Recipe(epochs=epochs, learning_rate=1e-5, rank=rank)\nmodel = llm.load_model()\n"
            "report = tuning.train(model, rows, recipe, folder=folder).report if rank else tuning.train_all_weights(model, rows, recipe, keep=False)[1]\n"
            "print(json.dumps(report))")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", code], input=json.dumps([rows, rank, epochs, folder]), capture_output=True, text=True, cwd=COURSE,
                              env={**os.environ, "COURSE_PRECISION": "fp32"})
    if done.returncode:
        raise CourseError(f"The trial training ended early ({done.stderr.strip().splitlines()[-1][:200]}): it needs about 3 GB of free memory.")
    return json.loads(done.stdout.splitlines()[-1])


# The Trainer, with three changes: batches by tokens, logits only where the loss is, and a progress line.

def _fit(llm, model, encoded, held, recipe, work):
    """Train `model` and return the report. work: the folder of checkpoints, or None for none."""
    import torch
    from peft.helpers import disable_input_dtype_casting
    from transformers import PrinterCallback, Trainer, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    precision = llm.precision if recipe.rank else "fp32"
    most = recipe.micro_tokens or (SMALL_MICRO_TOKENS if doctor.small() else MICRO_TOKENS[precision])
    found = families(encoded, max(most, FAMILY_TOKENS))
    packed = [pack([encoded[row] for row in some], begin) for some, begin in found]
    lengths = [len(ids) for ids, *_ in packed]
    batches = micro_batches(lengths, most, recipe.epochs, recipe.seed)
    if results.quick():
        batches = batches[:math.ceil(len(batches) / 4)]
    together = max(1, round(recipe.step_tokens / most / _world()))  # micro-batches per step
    batches = _share(batches, together)
    steps = math.ceil(len(batches) / together)
    every = max(1, steps // CHECKPOINTS)

    class AnswerTrainer(Trainer):
        def get_train_dataloader(self):
            return torch.utils.data.DataLoader(packed, batch_sampler=batches, collate_fn=lambda some: collate_packed(llm, some))

        def get_eval_dataloader(self, rows=None):
            cut = micro_batches([len(ids) for ids, _ in held], most, 1, 0)
            return torch.utils.data.DataLoader(held, batch_sampler=cut, collate_fn=lambda some: collate(llm, some))

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = answer_loss(model, inputs, num_items_in_batch)
            if not torch.isfinite(loss):
                raise CourseError(f"The loss is no longer a number at step {self.state.global_step} of {steps}: lower the learning rate "
                                  f"({recipe.learning_rate:g}). " + _kept(work))
            loss = loss * (_world() if num_items_in_batch is not None else 1)  # gradients of several processes are averaged
            return (loss, {}) if return_outputs else loss

    settings = TrainingArguments(
        output_dir=str(work or "unused"), num_train_epochs=1, gradient_accumulation_steps=together,
        learning_rate=recipe.learning_rate, lr_scheduler_type="cosine", warmup_steps=max(1, steps // 20), weight_decay=0.0,
        bf16=precision == "bf16", fp16=precision == "fp16", use_cpu=not torch.cuda.is_available(), seed=recipe.seed,
        logging_steps=1, logging_nan_inf_filter=False, eval_strategy="steps" if held else "no", eval_steps=every,
        save_strategy="steps" if work else "no", save_steps=every, save_total_limit=1, prediction_loss_only=True,
        **({"gradient_checkpointing": True, "gradient_checkpointing_kwargs": {"use_reentrant": False}} if max(lengths) > most else {}),
        disable_tqdm=True, report_to=[], remove_unused_columns=False, label_names=["labels"], dataloader_pin_memory=False,
        ddp_find_unused_parameters=False if _world() > 1 else None,
    )
    model.train()
    base = llm.model if recipe.rank else model
    attention = base.config._attn_implementation
    if max(lengths) <= 640 and not torch.cuda.is_available():
        base.set_attn_implementation("eager")  # on processors the fused kernel's backward pass is slower for short rows
    last = get_last_checkpoint(str(work)) if work and work.exists() else None
    _give_back_memory()
    begun, start = int(last.rsplit("-", 1)[1]) if last else 0, time.perf_counter()
    try:
        with weights.quiet_transformers(), disable_input_dtype_casting(model, active=precision == "bf16"):
            trainer = AnswerTrainer(model=model, args=settings, train_dataset=packed, eval_dataset=held or None, callbacks=[_progress(steps)])
            trainer.remove_callback(PrinterCallback)
            trainer.train(resume_from_checkpoint=last)
    except (MemoryError, RuntimeError) as problem:
        if isinstance(problem, MemoryError) or "memory" in str(problem).lower():
            raise CourseError(f"The memory did not suffice for {most} tokens at once: train with Recipe(micro_tokens={most // 2}).") from problem
        raise
    except OSError as problem:
        raise CourseError(f"The training could not be kept in {work} ({problem.strerror}): make room there, or set COURSE_DATA to another "
                          "folder, and start again; it goes on from the last checkpoint.") from problem
    finally:
        base.set_attn_implementation(attention)
    log = trainer.state.log_history
    tokens = sum(len(encoded[row][0]) for batch in batches for family in batch for row in found[family][0]) * _world()
    seconds = (time.perf_counter() - start) * steps / max(1, steps - begun)  # of a resumed training: of all of it, at the rate of this part
    return {
        "rows": len(encoded), "tokens": tokens, "steps": steps, "seconds": round(seconds, 1), "tokens_per_s": round(tokens / seconds, 1),
        "resumed": last is not None, "peak_gb": round(_peak_gb(), 2), "trained_weights": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "all_weights": sum(p.numel() for p in llm.model.parameters()),
        "loss": [(row["step"], row["loss"]) for row in log if "loss" in row],
        "development_loss": [(row["step"], row["eval_loss"]) for row in log if "eval_loss" in row],
        "recipe": asdict(recipe), "base": adapters.base_key(), "precision": precision,
    }


def _share(batches, together):
    """This process's part of the micro-batches; each process gets equally many, the first ones being repeated to fill up."""
    batches = batches + batches[: -len(batches) % _world()]
    return batches[_rank()::_world()]


def _world():
    return int(os.environ.get("WORLD_SIZE", "1"))


def _rank():
    return int(os.environ.get("RANK", "0"))


def _wait_for_all():
    if _world() > 1:
        import torch

        torch.distributed.barrier()


def _seed(seed):
    """Fix the first weights of the adapter; the order of rows has a generator of its own."""
    import torch

    torch.manual_seed(seed)


def _kept(work):
    """A sentence that says which checkpoint an aborted training leaves."""
    from transformers.trainer_utils import get_last_checkpoint

    last = get_last_checkpoint(str(work)) if work and work.exists() else None
    return f"The adapter of the last good checkpoint is kept in {last}." if last else "There was no checkpoint yet."


def _give_back_memory():
    """Hand back to the system what generating has left unused: glibc keeps it, and a training needs it in other sizes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def _peak_gb():
    """The most memory this process has held so far, in 10^9 bytes; on a GPU, the GPU's."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    from helpers.running import PeakMemory

    return PeakMemory(os.getpid()).gigabytes()


def _progress(steps):
    """A Trainer callback that keeps one line up to date: a bar, step, loss, time left."""
    from transformers import TrainerCallback

    class Progress(TrainerCallback):
        def on_train_begin(self, args, state, control, **more):
            from IPython import get_ipython
            from IPython.display import Markdown, display

            self.start, self.first, self.shown = time.perf_counter(), state.global_step, 0.0
            self.line = display(Markdown("*Training …*"), display_id=True) if get_ipython() and _rank() == 0 else None

        def on_log(self, args, state, control, logs=None, **more):
            now = time.perf_counter()
            if self.line is None or "loss" not in (logs or {}) or now - self.shown < 1 and state.global_step < steps:
                return
            from IPython.display import Markdown

            spent, self.shown = now - self.start, now
            left = spent / max(1, state.global_step - self.first) * (steps - state.global_step)
            time_left = f"{left:.0f} s left" if left < 90 else f"{left / 60:.0f} min left"
            done = state.global_step >= steps
            bar = "█" * (share := 20 * state.global_step // steps) + "░" * (20 - share)
            self.line.update(Markdown(f"*Trained {steps} steps in {spent:.0f} s; loss of the last one {logs['loss']:.2f}.*" if done else
                                      f"{bar} *step {state.global_step} of {steps}, loss {logs['loss']:.2f}, {time_left}*"))

    return Progress()
