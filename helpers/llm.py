"""The language model: load it, let it write for many prompts at once, let it score options."""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass
from os.path import commonprefix
from pathlib import Path
from typing import Any

from helpers import CourseError, doctor, replies, weights

PROMPT_LIMIT = 2048  # tokens; reading a longer prompt would not fit the memory of the smallest machines
BATCH_TOKENS = 2560  # tokens (prompts and answers together, a shared beginning left out) that a batch may hold: bounds memory
SHARED_PREFIX = 16  # tokens; a shorter common beginning is not worth a cache


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model and its tokenizer, ready to use."""

    model: Any
    tokenizer: Any
    name: str
    precision: str

    @property
    def device(self):
        return self.model.device


def choose_precision():
    """"bf16", "fp16" or "fp32": $COURSE_PRECISION where it is set, else what this processor or GPU is fast at."""
    return _precision()[0]


def precision_reason():
    """Why choose_precision() answers as it does, in a phrase."""
    return _precision()[1]


def _precision():
    import torch

    wanted = os.environ.get("COURSE_PRECISION")
    if wanted:
        if wanted not in ("bf16", "fp16", "fp32"):
            raise CourseError(f"COURSE_PRECISION is {wanted!r}: set it to bf16, fp16 or fp32, or unset it.")
        return wanted, "COURSE_PRECISION says so"
    if torch.cuda.is_available():
        if torch.cuda.get_device_capability()[0] >= 8:
            return "bf16", "this GPU computes in bfloat16"
        return "fp16", "this GPU has no bfloat16 arithmetic"
    if _processor_flags() & {"avx512_bf16", "amx_bf16"}:
        return "bf16", "this processor has bfloat16 instructions"
    return "fp32", "no bfloat16 instructions were found in this processor, and without them 16 bits are slower, not faster"


def _processor_flags():
    """The instruction sets that Linux reports; elsewhere none, since other systems do not list them."""
    if platform.system() != "Linux":
        return set()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.split(":", 1)[1].split()}


@functools.cache
def load_model():
    """The course's language model, from the converted cache (about a second). Raises CourseError as helpers.weights does."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")  # else every new batch shape leaves its compiled code in memory: 1.5 GB in a training
    warnings.filterwarnings("ignore", ".*gradient_checkpointing", FutureWarning)  # peft and older releases of transformers know no other name
    _give_back_memory()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    precision = choose_precision()
    folder = weights.language_model_folder()
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    try:
        with weights.quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True, use_safetensors=True)
    except Exception as problem:  # of many kinds: a cut-off file, a configuration of another sort of model
        raise CourseError(f"The model in {folder} can't be loaded ({problem}): check $COURSE_MODEL, or unset it.") from problem
    if not tokenizer.chat_template:
        raise CourseError(f"The model in {folder} has no chat template, so it can't be asked questions: choose an instruction-tuned one.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # The last columns of a batch don't lie side by side in memory; for frozen weights PyTorch would then copy the output matrix once per row: gigabytes.
    model.get_output_embeddings().register_forward_pre_hook(lambda layer, inputs: (inputs[0].contiguous(),))
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return LanguageModel(model, tokenizer, weights.model_name(), precision)


def _give_back_memory():
    """On a small machine, have glibc return large blocks as soon as they are free: a training then holds 0.3 GB less and takes a quarter longer."""
    if sys.platform == "linux" and doctor.small():
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL("libc.so.6").mallopt(-3, 1_000_000)  # M_MMAP_THRESHOLD, bytes


def fingerprint(llm):
    """SHA-256 over all weights and tables of the model, as hexadecimal text: it changes when any bit of any of them does."""
    import torch

    total = hashlib.sha256()
    for weight in (*llm.model.parameters(), *llm.model.buffers()):
        total.update(weight.detach().cpu().contiguous().view(torch.uint8).numpy())
    return total.hexdigest()


def chat_prompt(llm, system, user, examples=()):
    """The prompt text, in the model's own chat format. `examples`: (question, answer) pairs shown before `user`."""
    turns = [{"role": "system", "content": system}]
    for question, answer in examples:
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    turns += [{"role": "user", "content": user}]
    return llm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def generate(llm, prompts, max_new_tokens=32):
    """One greedy continuation (text) per prompt, in the order given.

    Prompts of similar length go through together, and the beginning that all prompts share is read once. In 32-bit arithmetic
    neither changes an answer; in 16-bit, sums are rounded differently beside other prompts, and a close call can fall the other
    way. The order of `prompts` never matters. A reference run keeps replies on disk (helpers.replies); a notebook as opened does not.
    Raises CourseError for a prompt above PROMPT_LIMIT tokens.
    """
    import torch

    kept = replies.of(_state(llm, max_new_tokens)) if os.environ.get("COURSE_REPLIES") else replies.Kept()
    written = {prompt: reply for prompt in set(prompts) if (reply := kept.reply(prompt)) is not None}
    encoded = {prompt: _encode(llm, prompt) for prompt in set(prompts) - set(written)}
    if not encoded:
        return [written[prompt] for prompt in prompts]
    order = sorted(encoded, key=lambda prompt: (len(encoded[prompt]), prompt))
    shared = commonprefix(list(encoded.values()))
    shared = shared[: min(len(shared), min(map(len, encoded.values())) - 1)]  # each prompt keeps a token of its own
    if len(shared) < SHARED_PREFIX or len(order) == 1:
        shared = []
    with torch.inference_mode():
        cache = _read(llm, shared) if shared else None
        for batch in _batches(order, lambda prompt: len(encoded[prompt]) - len(shared) + max_new_tokens):
            rest = [encoded[prompt][len(shared):] for prompt in batch]
            fresh = dict(zip(batch, _continue(llm, shared, cache, rest, max_new_tokens)))
            kept.add(fresh)
            written.update(fresh)
    return [written[prompt] for prompt in prompts]


def _state(llm, max_new_tokens):
    """Everything but the prompt that a reply depends on, as a text: weights (an adapter's included), precision, device, versions, length."""
    import torch
    import transformers

    scales = sorted({str(getattr(part, "scaling", "")) for part in llm.model.modules()})
    return str([fingerprint(llm), scales, llm.precision, str(llm.device), torch.__version__, transformers.__version__, max_new_tokens])


def generate_timed(llm, prompt, max_new_tokens=32):
    """(text, seconds to read the prompt, seconds to write the reply) for one prompt: prefill and decode, apart."""
    import torch

    tokens = _encode(llm, prompt)
    with torch.inference_mode():
        start = time.perf_counter()
        cache = _read(llm, tokens[:-1])
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU works on after the call has returned
        read = time.perf_counter()
        (text,) = _continue(llm, tokens[:-1], cache, [tokens[-1:]], max_new_tokens)
        return text, read - start, time.perf_counter() - read


def score_options(llm, prompts, options):
    """Log-probability (natural log, summed over tokens) of each option as the beginning of the reply: array [prompts, options].

    options: texts, the same for all prompts, or one such list per prompt, all of one length.
    Raises CourseError for an empty option list, an empty option, or lists of unequal length.
    """
    import numpy as np
    import torch

    if not options or not all(options):
        raise CourseError("score_options needs at least one option, and none of them empty.")
    lists = [options] * len(prompts) if isinstance(options[0], str) else options
    if len(lists) != len(prompts) or len({len(some) for some in lists}) > 1 or not all(map(all, lists)):
        raise CourseError("score_options needs one list of options per prompt, all of one length, and no option empty.")
    rows = [(_encode(llm, prompt), _plain_tokens(llm, option)) for prompt, some in zip(prompts, lists) for option in some]
    order = sorted(range(len(rows)), key=lambda row: len(rows[row][0]) + len(rows[row][1]))
    scores = np.zeros(len(rows))
    with torch.inference_mode():
        for batch in _batches(order, lambda row: len(rows[row][0]) + len(rows[row][1])):
            ids, mask = _pad_left(llm, [rows[row][0] + rows[row][1] for row in batch])
            longest = max(len(rows[row][1]) for row in batch)
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            logits = llm.model(ids, attention_mask=mask, position_ids=positions, logits_to_keep=longest + 1).logits
            logp = logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, -longest:, None])[..., 0]
            for row, line in zip(batch, logp):
                scores[row] = line[-len(rows[row][1]):].sum().item()
    return scores.reshape(len(prompts), -1)


def _plain_tokens(llm, text):
    return llm.tokenizer(text, add_special_tokens=False)["input_ids"]


def _encode(llm, prompt):
    tokens = _plain_tokens(llm, prompt)
    if not tokens:
        raise CourseError("The prompt is empty: give the model something to continue.")
    if len(tokens) > PROMPT_LIMIT:
        raise CourseError(
            f"This prompt is {len(tokens):,} tokens long and the course reads at most {PROMPT_LIMIT:,}: ask a shorter question, "
            "or put fewer or shorter passages into it."
        )
    return tokens


def _batches(items, length):
    """Cut items, sorted by length, into batches of at most BATCH_TOKENS tokens counted with their padding."""
    batch = []
    for item in items:
        if batch and (len(batch) + 1) * length(item) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch


def _pad_left(llm, rows):
    """Token ids and attention mask, [rows, longest], padded on the left so that every reply starts at the same column."""
    import torch

    longest, pad = max(map(len, rows)), llm.tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=llm.device)
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=llm.device)
    return ids, mask


def _read(llm, tokens):
    """The model's key-value cache after reading these tokens; None for no tokens."""
    import torch

    if not tokens:
        return None
    ids = torch.tensor([tokens], device=llm.device)
    return llm.model(ids, use_cache=True, logits_to_keep=1).past_key_values


def _continue(llm, shared, cache, rows, max_new_tokens):
    """Greedy continuations of `shared + row` for each row, where `cache` already holds `shared`."""
    import torch

    ids, mask = _pad_left(llm, rows)
    if shared:
        ids = torch.cat([torch.tensor([shared], device=llm.device).expand(len(rows), -1), ids], 1)
        mask = torch.cat([torch.ones(len(rows), len(shared), dtype=mask.dtype, device=llm.device), mask], 1)
    out = llm.model.generate(
        ids, attention_mask=mask, past_key_values=_behind(cache) if shared else None, max_new_tokens=max_new_tokens,
        do_sample=False, pad_token_id=llm.tokenizer.pad_token_id,
    )
    texts = llm.tokenizer.batch_decode(out[:, ids.shape[1]:], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return [text.strip() for text in texts]


def _behind(cache):
    """A cache for rows that all go on behind what `cache` holds: that beginning is kept once, not once for each row, so that more rows fit into a batch."""
    import torch
    from transformers.cache_utils import Cache, DynamicLayer

    class Behind(DynamicLayer):
        def __init__(self, begun):
            super().__init__()
            self.begun = begun

        def get_seq_length(self):
            return self.begun.get_seq_length() + super().get_seq_length()

        def update(self, keys, values, *args, **kwargs):
            own = super().update(keys, values)
            return tuple(torch.cat([start.expand(len(keys), -1, -1, -1), rest], -2) for start, rest in zip((self.begun.keys, self.begun.values), own))

    return Cache(layers=[Behind(layer) for layer in cache.layers])
