"""The tuning helper on a model small enough to train in a second: what is learned, what is kept, and what is said when it goes wrong."""

import json
import os
import subprocess
import sys

import psutil
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from helpers import COURSE, CourseError, adapters, llm, tuning
from helpers.tuning import Recipe

ROWS = [(f"Question {n}?", f"answer {n % 3}") for n in range(24)]
QUICK = Recipe(epochs=3, learning_rate=1e-2, rank=4, step_tokens=64, micro_tokens=64)


@pytest.fixture(scope="module")
def tokenizer():
    return llm.load_model().tokenizer


@pytest.fixture
def tiny(tokenizer, tmp_path, monkeypatch):
    """A two-layer model with random weights and the course's tokenizer; adapters go to a folder of the test."""
    monkeypatch.setattr(adapters, "folder", lambda: tmp_path / "mine")
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=1024)
    return llm.LanguageModel(LlamaForCausalLM(config).eval(), tokenizer, "tiny", "fp32")


def test_only_the_reply_is_learned_and_its_end(tiny):
    ids, answer = tuning.encode_rows(tiny, [("Where is it?", "In cabinet 9")])[0]
    assert tiny.tokenizer.decode(ids[-answer:]) == "In cabinet 9" + tiny.tokenizer.eos_token
    ids, answer = tuning.encode_rows(tiny, [("", "plain prose")])[0]
    assert answer == len(ids) - 1  # the first token has nothing before it to be predicted from


@pytest.mark.parametrize("rows, said", [
    ([], "no rows"), ([("a", "b"), ("a", " ")], "Row 2"), ([("a", "b"), ("only one",)], "Row 2"), ([{"prompt": "a"}], "Row 1"),
    ([("a", None)], "Row 1"), ([("word " * 1100, "b")], "at most 1,024"), ([("a", "word " * 1100)], "at most 1,024"),
])
def test_a_bad_row_is_named(tiny, rows, said):
    with pytest.raises(CourseError, match=said):
        tuning.encode_rows(tiny, rows)


def test_micro_batches_hold_every_row_once_an_epoch_within_the_budget():
    lengths = [5 + (n * 37) % 90 for n in range(200)]
    batches = tuning.micro_batches(lengths, 256, 3, seed=1)
    assert sorted(row for batch in batches for row in batch) == sorted(list(range(200)) * 3)
    assert all(len(batch) * max(lengths[row] for row in batch) <= 256 for batch in batches)
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded / (3 * sum(lengths)) < 1.15
    assert batches == tuning.micro_batches(lengths, 256, 3, seed=1) != tuning.micro_batches(lengths, 256, 3, seed=2)
    assert sum(map(len, tuning.micro_batches(lengths, 256, 0.5, seed=1))) == 100


def test_a_row_above_the_budget_goes_alone():
    assert sorted(tuning.micro_batches([300, 10, 10], 64, 1, seed=0), key=len) == [[0], [1, 2]]


def test_the_loss_is_the_plain_cross_entropy_of_the_replies_tokens(tiny):
    encoded = tuning.encode_rows(tiny, [("A question?", "yes"), ("A much longer question than that?", "no, not at all")])
    expected, count = 0.0, 0
    for ids, answer in encoded:  # one row at a time, unpadded, all logits
        logits = tiny.model(torch.tensor([ids])).logits[0]
        expected += torch.nn.functional.cross_entropy(logits[-answer - 1:-1], torch.tensor(ids[-answer:]), reduction="sum").item()
        count += answer
    assert tuning.answer_loss(tiny.model, tuning.collate(tiny, encoded)).item() == pytest.approx(expected / count, abs=1e-4)


def test_rows_that_begin_alike_share_the_work_and_change_no_loss_and_no_gradient(tiny):
    pages = "[1] The jar stands in cabinet nine. [2] The leaflet says to wait before a meal, and to ask again after a week of it. " * 2
    rows = [(f"{pages}Question: {question}\n", answer) for question, answer in (("Where?", "nine"), ("Where now is it?", "in nine"), ("When?", "never, I fear"))]
    encoded = tuning.encode_rows(tiny, [*rows, ("Something else?", "yes")])
    families = tuning.families(encoded, 400)
    assert [some for some, _ in families] == [[0, 1, 2], [3]] and [some for some, _ in tuning.families(encoded, 70)] == [[0], [1], [2], [3]]
    packed = [tuning.pack([encoded[row] for row in some], begin) for some, begin in families]
    assert len(packed[0][0]) < 0.6 * sum(len(ids) for ids, _ in encoded[:3])
    losses = []
    for some in (packed, [tuning.pack([row]) for row in encoded]):
        tiny.model.zero_grad()
        loss = tuning.answer_loss(tiny.model, tuning.collate_packed(tiny, some))
        loss.backward()
        losses.append((loss.item(), tiny.model.model.layers[0].self_attn.q_proj.weight.grad.clone()))
    assert losses[0][0] == pytest.approx(losses[1][0], abs=1e-5) and torch.allclose(losses[0][1], losses[1][1], atol=1e-6)


def test_training_learns_and_leaves_the_model_as_it_was(tiny):
    before, names = llm.fingerprint(tiny), [name for name, _ in tiny.model.named_modules()]
    adapter = tuning.train(tiny, ROWS, QUICK, development=ROWS[:4])
    loss = [value for _, value in adapter.report["loss"]]
    assert loss[-1] < loss[0] - 0.3 and len(loss) == adapter.report["steps"] and adapter.report["development_loss"]
    assert llm.fingerprint(tiny) == before and [name for name, _ in tiny.model.named_modules()] == names
    assert adapter.report["tokens"] == 3 * sum(len(ids) for ids, _ in tuning.encode_rows(tiny, ROWS))
    assert 0 < adapter.megabytes < 0.1 and not list(adapter.folder.parent.glob("*.part")) and not list(adapter.folder.parent.glob("*.new"))


def test_the_same_training_is_not_done_twice(tiny):
    first = tuning.train(tiny, ROWS, QUICK)
    stamp = (first.folder / "report.json").stat().st_mtime_ns
    assert tuning.train(tiny, ROWS, QUICK).report == first.report and (first.folder / "report.json").stat().st_mtime_ns == stamp
    assert tuning.train(tiny, ROWS[:-1], QUICK).folder != first.folder


def test_an_adapter_is_put_on_and_taken_off(tiny):
    ids = torch.tensor([tuning.encode_rows(tiny, ROWS)[0][0]])
    plain = tiny.model(ids).logits
    one, other = tuning.train(tiny, ROWS, QUICK), tuning.train(tiny, [(q, "something else") for q, _ in ROWS], QUICK)
    with adapters.attached(tiny, one):
        first = tiny.model(ids).logits
    with adapters.attached(tiny, other):
        second = tiny.model(ids).logits
    with adapters.attached(tiny, one):
        assert torch.equal(tiny.model(ids).logits, first)
    assert not torch.allclose(first, plain) and not torch.allclose(first, second) and torch.equal(tiny.model(ids).logits, plain)


def test_training_can_start_from_an_adapter(tiny):
    first = tuning.train(tiny, ROWS, QUICK)
    second = tuning.train(tiny, ROWS, QUICK, start=first)
    assert second.folder != first.folder and second.report["loss"][0][1] < first.report["loss"][0][1] - 0.2


def test_what_an_adapter_changes_is_measured(tiny):
    with adapters.attached(tiny, tuning.train(tiny, ROWS, QUICK)) as tuned:
        moved, size = adapters.change(tuned)
    linear = sum(module.weight.numel() for name, module in tiny.model.named_modules() if name.endswith(tuning.LINEAR))
    assert moved == pytest.approx(linear / sum(weight.numel() for weight in tiny.model.parameters()), rel=0.05) and 0 < size < 10


def test_the_seed_decides_the_first_weights_and_the_order(tiny, tmp_path):
    once, again = (tuning.train(tiny, ROWS, QUICK, folder=tmp_path / name) for name in ("a", "b"))
    other = tuning.train(tiny, ROWS, Recipe(**{**QUICK.__dict__, "seed": 1}), folder=tmp_path / "a")
    assert once.report["sha256"] == again.report["sha256"] != other.report["sha256"]


def test_an_interrupted_training_goes_on_from_its_checkpoint(tiny, tmp_path, monkeypatch):
    whole = tuning.train(tiny, ROWS, QUICK, folder=tmp_path / "whole")
    calls, loss = [], tuning.answer_loss

    def interrupted(*given):
        calls.append(1)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return loss(*given)

    monkeypatch.setattr(tuning, "answer_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tuning.train(tiny, ROWS, QUICK, folder=tmp_path / "cut")
    assert [path.suffix for path in (tmp_path / "cut").iterdir()] == [".part"]
    monkeypatch.setattr(tuning, "answer_loss", loss)
    resumed = tuning.train(tiny, ROWS, QUICK, folder=tmp_path / "cut")
    assert resumed.report["resumed"] and [path.suffix for path in (tmp_path / "cut").iterdir()] == [""]
    assert [value for _, value in resumed.report["loss"]] == pytest.approx([value for _, value in whole.report["loss"]], abs=1e-3)


def test_a_loss_that_is_no_number_stops_the_training_and_names_the_rate(tiny, tmp_path, monkeypatch):
    loss, calls = tuning.answer_loss, []

    def broken(*given):
        calls.append(1)
        return loss(*given) * (float("nan") if len(calls) > 8 else 1)

    monkeypatch.setattr(tuning, "answer_loss", broken)
    with pytest.raises(CourseError, match=r"no longer a number at step \d+ of \d+: lower the learning rate \(0.01\).*checkpoint-\d+"):
        tuning.train(tiny, ROWS, QUICK, folder=tmp_path)
    kept = next((tmp_path.glob("*.part"))).glob("checkpoint-*")
    assert all(torch.isfinite(weight).all() for path in kept for weight in _weights(path))


def _weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors").values()


def test_exhausted_memory_names_the_setting(tiny, tmp_path, monkeypatch):
    def no_room(*given):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(tuning, "answer_loss", no_room)
    with pytest.raises(CourseError, match=r"64 tokens at once: train with Recipe\(micro_tokens=32\)"):
        tuning.train(tiny, ROWS, QUICK, folder=tmp_path)


def test_a_full_disk_is_told_and_leaves_no_half_adapter(tiny, tmp_path, monkeypatch):
    def full(*given, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(CourseError, match="No space left on device.*make room"):
        tuning.train(tiny, ROWS, QUICK, folder=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".part"]


def test_a_damaged_adapter_is_refused(tiny):
    adapter = tuning.train(tiny, ROWS, QUICK)
    file = adapter.folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CourseError, match="damaged"):
        adapters.load(adapter.folder)
    file.unlink()
    with pytest.raises(CourseError, match="no whole adapter"):
        adapters.load(adapter.folder)


def test_an_adapter_for_another_base_is_refused_with_both_hashes(tiny):
    adapter = tuning.train(tiny, ROWS, QUICK)
    report = {**adapter.report, "base": "0123456789ab"}
    (adapter.folder / "report.json").write_text(json.dumps(report))
    with pytest.raises(CourseError, match=rf"0123456789ab.*{adapters.base_key()}"), adapters.attached(tiny, adapters.load(adapter.folder)):
        pass


def test_an_adapter_made_from_other_rows_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(adapters, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    adapters.ship(tuning.train(tiny, ROWS, QUICK), "named")
    assert tuning.ready(tiny, "named", ROWS, QUICK).folder.name == "named"
    with pytest.raises(CourseError, match="other rows"):
        tuning.ready(tiny, "named", ROWS[:-1], QUICK)
    monkeypatch.setenv("COURSE_SEED", "1")  # which may draw other rows
    assert tuning.ready(tiny, "named", ROWS[:-1], QUICK).report["rows"] == len(ROWS)


def test_a_full_size_run_trains_what_does_not_ship_and_ships_seed_0(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(adapters, "SHIPPED", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    monkeypatch.setenv("COURSE_SIZE", "full")
    first = tuning.ready(tiny, "named", ROWS, QUICK)
    with monkeypatch.context() as nothing_can_be_trained:
        nothing_can_be_trained.setattr(tuning, "_fit", None)
        assert tuning.ready(tiny, "named", ROWS, QUICK) == first and first.folder.parent == tmp_path / "shipped"
    monkeypatch.setenv("COURSE_SEED", "1")
    second = tuning.ready(tiny, "named", ROWS, QUICK)
    assert second.report["key"] != first.report["key"] and adapters.load(tmp_path / "shipped" / "named") == first
    monkeypatch.setenv("COURSE_SEED", "0")
    assert tuning.ready(tiny, "named", ROWS[:-1], QUICK).report["rows"] == len(ROWS) - 1  # other rows: trained, and shipped instead
    assert adapters.load(tmp_path / "shipped" / "named").report["rows"] == len(ROWS) - 1


def test_an_adapter_carries_no_path_of_this_machine(tiny):
    adapter = tuning.train(tiny, ROWS, QUICK)
    for path in adapter.folder.glob("*.json"):
        assert "/" not in json.dumps(json.loads(path.read_text())).replace("\\/", "") or str(COURSE) not in path.read_text()
    assert {path.name for path in adapter.folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors", "report.json"}


def test_all_weights_can_be_trained_too(tiny):
    before = llm.fingerprint(tiny)
    tuned, report = tuning.train_all_weights(tiny, ROWS, Recipe(**{**QUICK.__dict__, "rank": None, "learning_rate": 3e-3}))
    assert report["trained_weights"] == report["all_weights"] and report["loss"][-1][1] < report["loss"][0][1] - 0.3
    assert llm.fingerprint(tuned) != before == llm.fingerprint(tiny)


def test_all_weights_can_be_trained_after_an_adapter_was(tiny):
    tuning.train(tiny, ROWS, QUICK)  # leaves the base frozen
    before = llm.fingerprint(tiny)
    trained, _ = tuning.train_all_weights(tiny, ROWS, Recipe(epochs=1, learning_rate=1e-3, rank=None, step_tokens=64, micro_tokens=64))
    assert llm.fingerprint(tiny) == before != llm.fingerprint(trained)


def test_in_16_bits_an_adapter_leaves_the_base_as_it_was(tiny):
    half = llm.LanguageModel(tiny.model.to(torch.bfloat16), tiny.tokenizer, "tiny", "bf16")
    half.model.model.rotary_emb.float()  # a table that models keep in 32 bits
    before, adapter = llm.fingerprint(half), tuning.train(half, ROWS, QUICK)
    with adapters.attached(half, adapter):
        assert {weight.dtype for name, weight in half.model.named_parameters() if "lora_" in name} == {torch.bfloat16}
    assert llm.fingerprint(half) == before and half.model.model.rotary_emb.inv_freq.dtype == torch.float32


def test_two_processes_train_one_adapter(tmp_path):
    code = tmp_path / "two.py"
    code.write_text("import sys\nfrom pathlib import Path\n"
                    "from tests.test_tuning import QUICK, ROWS, small\nfrom helpers import tuning\n"
                    "import torch.distributed as d\n"
                    "a = tuning.train(small(), ROWS, QUICK, folder=Path(sys.argv[1]))\n"
                    "sys.stdout.write(f'world {d.get_world_size()}\\n')\nd.destroy_process_group()\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(code), str(tmp_path / "out")]
    done = subprocess.run(command, cwd=COURSE, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(COURSE), "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("world 2") == 2 and len(list((tmp_path / "out").iterdir())) == 1


def small():
    """The tiny model again, for a process of its own."""
    tokenizer = llm.load_model().tokenizer
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    return llm.LanguageModel(LlamaForCausalLM(config).eval(), tokenizer, "tiny", "fp32")


def test_a_machine_with_little_memory_gets_smaller_batches(tiny, monkeypatch):
    seen = []
    batches = tuning.micro_batches
    monkeypatch.setattr(tuning, "micro_batches", lambda lengths, most, epochs, seed: seen.append(most) or batches(lengths, most, epochs, seed))
    monkeypatch.setattr(tuning, "MICRO_TOKENS", {"fp32": 300})
    for gigabytes, said in ((2.0, tuning.SMALL_MICRO_TOKENS), (16.0, 300), (None, 300)):
        monkeypatch.setattr(tuning.doctor, "memory", lambda gigabytes=gigabytes: gigabytes)
        tuning.train(tiny, ROWS[:4], Recipe(epochs=1, rank=2, step_tokens=300, seed=len(seen)))
        assert seen[-1] == said


def test_the_memory_of_a_machine_is_the_least_of_its_limits(monkeypatch, tmp_path):
    limits = [tmp_path / "new", tmp_path / "old", tmp_path / "absent"]
    limits[0].write_text("max\n"), limits[1].write_text("9223372036854771712\n")
    monkeypatch.setattr(tuning.doctor, "LIMITS", limits)
    monkeypatch.delenv("MEM_LIMIT", raising=False)
    whole = tuning.doctor.memory()
    assert whole == psutil.virtual_memory().total / 1e9
    limits[1].write_text("1900000000\n")
    assert tuning.doctor.memory() == min(1.9, whole) and tuning.doctor.small()
    monkeypatch.setenv("MEM_LIMIT", "1800000000")
    assert tuning.doctor.memory() == min(1.8, whole)


def test_a_small_machine_gives_memory_back(monkeypatch):
    done = []
    monkeypatch.setattr(llm.ctypes, "CDLL", lambda name: type("Library", (), {"mallopt": lambda self, *option: done.append(option)})())
    monkeypatch.setattr(llm.sys, "platform", "linux")
    for gigabytes in (2.0, 16.0, None):
        monkeypatch.setattr(tuning.doctor, "memory", lambda gigabytes=gigabytes: gigabytes)
        llm._give_back_memory()
    assert len(done) == 1 and done[0][0] == -3
