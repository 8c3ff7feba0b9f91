"""`course.py bench`: speed and memory, each figure beside its limit or its peer, as ratios. Nothing here fails a test."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request

from helpers import COURSE

LIMITS = {"model": 2.0, "answer": 5.0, "lab": 15.0, "speed": 2.5, "training": 1.5, "share": {"bf16": 0.6, "fp16": 0.6, "fp32": 0.8},
          "memory": 1.8, "minutes": {"bf16": 3.0, "fp16": 3.0, "fp32": 7.5}}


def main():
    """Measure and print the table. `lab` is timed by starting a server on a free port and stopping it again."""
    def add(what, value, unit, limit, more_is_better=False):
        ratio = value / limit if more_is_better else limit / value
        print(f"{what:<62} {value:>8.2f} {unit:<3} limit {limit:>5g}  {ratio:>6.2f}×", flush=True)

    print("Each line: what was measured, its limit, and how many times better than the limit it is (below 1: worse).\n")
    ready, answered = in_a_fresh_process()
    add("model ready from the converted cache (imports apart)", ready, "s", LIMITS["model"])
    add("first grounded answer after that (embedder and index included)", answered, "s", LIMITS["answer"])
    add("JupyterLab answers after `course.py lab`", lab_seconds(), "s", LIMITS["lab"])
    fast, slow = evaluation_seconds()
    add(f"evaluation against one-at-a-time pipeline calls ({slow:.0f} s / {fast:.0f} s)", slow / fast, "×", LIMITS["speed"], more_is_better=True)
    from helpers.llm import choose_precision

    course, plain, share = training_speed()
    add(f"LoRA training against a plain Trainer ({course:.0f} and {plain:.0f} tokens/s)", course / plain, "×", LIMITS["training"], more_is_better=True)
    add("LoRA training as a share of what matrix products alone allow", share, "", LIMITS["share"][choose_precision()], more_is_better=True)
    for precision in dict.fromkeys((choose_precision(), "fp32")):
        for name in (path.stem for path in sorted((COURSE / "notebooks").glob("0[1-9]*.ipynb"))):
            seconds, memory = notebook(name, precision)
            add(f"{name} in {precision}", seconds / 60, "min", LIMITS["minutes"][precision])
            if precision == "fp32":
                add(f"{name} in fp32, peak memory of its kernel", memory, "GB", LIMITS["memory"])


def in_a_fresh_process():
    """(seconds until the language model is ready, seconds from there to the first grounded answer), after the imports."""
    code = (
        "import time, torch, transformers, sentence_transformers, faiss, bm25s\n"
        "from helpers import documents, llm, rag, retrieval\n"
        "start = time.perf_counter(); model = llm.load_model(); ready = time.perf_counter()\n"
        "index = retrieval.DenseIndex(documents.chunk(documents.load_documents()))\n"
        "rag.ask(model, 'How warm may Sulmirex be kept?', index, k=3)\n"
        "print(ready - start, time.perf_counter() - ready)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=COURSE, capture_output=True, text=True, check=True)
    return tuple(map(float, done.stdout.split()[-2:]))


def lab_seconds():
    """Seconds from `course.py lab` until JupyterLab answers, on this set-up machine."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = ["--here"] if os.environ.get("COURSE_HERE") == "1" or not (COURSE / ".venv").exists() else []
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        lab = subprocess.Popen([sys.executable, "course.py", "lab", *here, "--no-browser", "--port", str(port)], cwd=COURSE, stdout=log, stderr=log)
        try:
            while time.perf_counter() - start < 120:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=2).read()
                    return time.perf_counter() - start
                except OSError:
                    time.sleep(0.1)
        finally:
            lab.terminate()
            lab.wait(20)
    raise RuntimeError("JupyterLab did not answer within two minutes.")


def evaluation_seconds():
    """(seconds for the course's batched evaluation, seconds for one pipeline call per prompt): same prompts, precision, length."""
    from transformers import pipeline

    from helpers import documents, llm, rag, retrieval, weights, world

    model = llm.load_model()
    questions = [question.question for question in world.one_per_fact(world.load_questions(split="development"))][:24]
    index = retrieval.DenseIndex(documents.chunk(documents.in_force(documents.load_documents(), world.dates()["second"])))
    passages = [[hit.chunk for hit in hits] for hits in index.search(questions, 1)]
    prompts = (
        [rag.closed_book_prompt(model, question) for question in questions]
        + [rag.closed_book_prompt(model, question, rag.CLOSED_BOOK_EXAMPLES) for question in questions]
        + [rag.grounded_prompt(model, question, some) for question, some in zip(questions, passages)]
        + [rag.grounded_prompt(model, question, some, rag.GROUNDED_EXAMPLES) for question, some in zip(questions, passages)]
    )
    per_arm = [prompts[i:i + len(questions)] for i in range(0, len(prompts), len(questions))]
    with weights.quiet_transformers():
        one = pipeline("text-generation", model=model.model, tokenizer=model.tokenizer)
        settings = {"max_new_tokens": rag.MAX_NEW_TOKENS, "do_sample": False, "return_full_text": False, "pad_token_id": model.tokenizer.pad_token_id}
        one(prompts[0], **settings)  # warm up
        llm.generate(model, prompts[:2], 4)
        start = time.perf_counter()
        for prompt in prompts:
            one(prompt, **settings)
        middle = time.perf_counter()
    for arm in per_arm:
        llm.generate(model, arm, rag.MAX_NEW_TOKENS)
    return time.perf_counter() - middle, middle - start


def training_speed(rows=96):
    """(tokens per second of the course's training, of a plain Trainer, share of the matrix-product limit that the first one reaches).

    The same rows of mixed length, adapter and precision, one epoch. Plain: peft and Trainer with default padding and all logits, 8 rows at a time.
    """
    import peft
    import torch
    from transformers import DataCollatorForSeq2Seq, PrinterCallback, Trainer, TrainingArguments

    from helpers import llm, tasks, tuning, weights, world
    from helpers.rows import recite_rows, triage_rows

    model = llm.load_model()
    some = triage_rows(model, tasks.load_triage("train")[:rows // 2]) + recite_rows(model, world.load_questions(("stable_tuned",), "train")[:rows // 2])
    recipe = tuning.Recipe(epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        course = tuning.train(model, some, recipe, folder=folder).report
        settings = TrainingArguments(output_dir=folder, num_train_epochs=1, per_device_train_batch_size=8, report_to=[], disable_tqdm=True, save_strategy="no",
                                     use_cpu=not torch.cuda.is_available(), bf16=model.precision == "bf16", learning_rate=1e-3)
        encoded = [{"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [-100] * (len(ids) - answer) + ids[-answer:]}
                   for ids, answer in tuning.encode_rows(model, some)]
        with weights.quiet_transformers():
            tuned = peft.get_peft_model(model.model, peft.LoraConfig(r=recipe.rank, lora_alpha=recipe.alpha, target_modules=list(tuning.LINEAR)))
            trainer = Trainer(model=tuned, args=settings, train_dataset=encoded, data_collator=DataCollatorForSeq2Seq(model.tokenizer))
            trainer.remove_callback(PrinterCallback)
            start = time.perf_counter()
            trainer.train()
            plain = course["tokens"] / (time.perf_counter() - start)
        tuned.unload()
    linear = sum(weight.numel() for name, weight in model.model.named_parameters() if name.split(".")[-2] in tuning.LINEAR)
    limit = products_per_second(model.model.dtype) / (4 * linear)  # forward and the gradient of the inputs: two products of 2 operations per weight
    return course["tokens_per_s"], plain, course["tokens_per_s"] / limit


def products_per_second(dtype, runs=50):
    """Operations per second (a multiplication and an addition are two) of the products that a layer of the model is made of."""
    import torch

    x, weight = torch.randn(512, 576, dtype=dtype), torch.randn(1536, 576, dtype=dtype)
    for _ in range(5):
        torch.nn.functional.linear(x, weight)
    start = time.perf_counter()
    for _ in range(runs):
        torch.nn.functional.linear(x, weight)
    return runs * 2 * x.shape[0] * weight.numel() / (time.perf_counter() - start)


def notebook(name, precision):
    """(seconds, peak GB of the kernel) of a notebook run headless at a precision."""
    from helpers import running

    path = COURSE / "notebooks" / f"{name}.ipynb"
    with tempfile.TemporaryDirectory() as out:
        variables = {"COURSE_PRECISION": precision, "COURSE_RESULTS": f"{out}/results.jsonl", "COURSE_DATA": out}
        return running.execute(running.load(path), path, variables)


if __name__ == "__main__":
    main()
