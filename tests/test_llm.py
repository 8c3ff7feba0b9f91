"""Batches, shared beginnings and option scores must not change an answer. In fp32, where arithmetic leaves no excuse."""

import numpy as np
import pytest
import torch

from helpers import CourseError, llm, world


@pytest.fixture(scope="module")
def model():
    """The course's model in fp32, loaded once beside whatever this machine would choose."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COURSE_PRECISION", "fp32")
    llm.load_model.cache_clear()
    yield llm.load_model()
    llm.load_model.cache_clear()
    patch.undo()


@pytest.fixture(scope="module")
def prompts(model):
    questions = world.one_per_fact(world.load_questions(split="development"))[:12]
    return [llm.chat_prompt(model, "Answer in one short sentence, for a medicines desk.", q.question) for q in questions]


def plain(model, prompt, new):
    """The library's own greedy generation, one prompt at a time: the reference."""
    ids = model.tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    out = model.model.generate(**ids, max_new_tokens=new, do_sample=False, pad_token_id=model.tokenizer.pad_token_id)
    return model.tokenizer.decode(out[0, ids["input_ids"].shape[1]:], skip_special_tokens=True).strip()


def test_batched_generation_equals_one_at_a_time(model, prompts):
    assert llm.generate(model, prompts, 20) == [plain(model, prompt, 20) for prompt in prompts]


def test_answers_do_not_depend_on_batch_order(model, prompts):
    forward = llm.generate(model, prompts, 12)
    assert llm.generate(model, prompts[::-1], 12)[::-1] == forward
    doubled = llm.generate(model, prompts + prompts[:2], 12)
    assert doubled == forward + forward[:2]


def test_small_batches_give_the_same_answers(model, prompts, monkeypatch):
    whole = llm.generate(model, prompts, 12)
    monkeypatch.setattr(llm, "BATCH_TOKENS", 200)
    assert llm.generate(model, prompts, 12) == whole


def test_a_prompt_that_begins_another_is_no_trouble(model):
    prompts = ["Once upon a time " * 10, "Once upon a time " * 10 + "there was a"]
    assert llm.generate(model, prompts, 6) == [plain(model, prompt, 6) for prompt in prompts]
    assert llm.generate(model, []) == []


def test_timed_generation_says_the_same(model, prompts):
    text, reading, writing = llm.generate_timed(model, prompts[0], 20)
    assert text == plain(model, prompts[0], 20) and reading > 0 and writing > 0


def test_option_scores_equal_a_plain_forward_pass(model, prompts):
    options = ["35 mg", "Yes, it does.", "no"]
    scores = llm.score_options(model, prompts[:3], options)
    for row, prompt in enumerate(prompts[:3]):
        for column, option in enumerate(options):
            start, reply = (model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, option))
            with torch.inference_mode():
                logp = model.model(torch.tensor([start + reply])).logits[0].log_softmax(-1)
            expected = sum(logp[len(start) + i - 1, token].item() for i, token in enumerate(reply))
            assert scores[row, column] == pytest.approx(expected, abs=2e-3)


def test_option_scores_prefer_what_is_true(model):
    prompt = llm.chat_prompt(model, "Answer with one word.", "What is the capital of France?")
    assert np.argmax(llm.score_options(model, [prompt], ["Lyon", "Paris", "Berlin"])) == 1


def test_the_chat_prompt_has_no_system_message_but_ours(model):
    text = llm.chat_prompt(model, "Ours.", "Question?", [("Earlier?", "Yes.")])
    assert text.count("<|im_start|>system") == 1 and "SmolLM" not in text
    assert text.index("Earlier?") < text.index("Yes.") < text.index("Question?") and text.endswith("<|im_start|>assistant\n")


def test_long_and_empty_prompts_are_told(model):
    with pytest.raises(CourseError, match=r"tokens long and the course reads at most 2,048"):
        llm.generate(model, ["word " * 10_000])
    with pytest.raises(CourseError, match="prompt is empty"):
        llm.generate(model, [""])
    with pytest.raises(CourseError, match="at least one option"):
        llm.score_options(model, ["Question"], [])


@pytest.mark.parametrize("flags, expected", [({"avx512_bf16"}, "bf16"), ({"amx_bf16"}, "bf16"), ({"avx2"}, "fp32"), (set(), "fp32")])
def test_precision_follows_the_processor(monkeypatch, flags, expected):
    monkeypatch.delenv("COURSE_PRECISION", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(llm, "_processor_flags", lambda: flags)
    assert llm.choose_precision() == expected


def test_precision_can_be_overridden_and_a_wrong_one_is_told(monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "fp32")
    assert llm.choose_precision() == "fp32"
    monkeypatch.setenv("COURSE_PRECISION", "int4")
    with pytest.raises(CourseError, match="COURSE_PRECISION is 'int4'"):
        llm.choose_precision()


def test_options_may_differ_from_prompt_to_prompt(model):
    prompts = [llm.chat_prompt(model, "Answer with a word.", text, ()) for text in ("The capital of France?", "The colour of grass?")]
    lists = [["Paris", "Rome"], ["green", "blue"]]
    together = llm.score_options(model, prompts, lists)
    np.testing.assert_allclose(together, [llm.score_options(model, [p], some)[0] for p, some in zip(prompts, lists)], atol=0.01)
    with pytest.raises(CourseError, match="all of one length"):
        llm.score_options(model, prompts, [["a", "b"], ["c"]])


def test_a_reference_run_writes_no_reply_twice(model, prompts, monkeypatch, tmp_path):
    without = llm.generate(model, prompts, 8)
    monkeypatch.setenv("COURSE_REPLIES", str(tmp_path / "replies"))
    assert llm.generate(model, prompts, 8) == without
    (file,) = (tmp_path / "replies").iterdir()
    file.write_text(file.read_text()[:-5])  # ended while it wrote the last line
    asked = []
    monkeypatch.setattr(llm, "_continue", lambda llm, shared, cache, rows, new: asked.append(rows) or ["written anew"] * len(rows))
    again = llm.generate(model, prompts, 8)
    assert len(asked) == 1 and len(asked[0]) == 1  # only the one whose line was cut
    assert [a for a, b in zip(again, without) if a != b] == ["written anew"]
    assert llm.generate(model, prompts[:2], 9) == ["written anew"] * 2  # another length is another reply
    first = next(model.model.parameters())
    was = first[0, 0].item()
    with torch.no_grad():
        first[0, 0] += 1
    try:
        assert llm.generate(model, prompts[:2], 8) == ["written anew"] * 2  # as are other weights
    finally:
        with torch.no_grad():
            first[0, 0] = was


def test_frozen_weights_cost_no_copies_of_the_output_matrix(model, prompts):
    """PyTorch multiplies a batch that does not lie in one piece by a copy of the matrix for each row: gigabytes."""
    seen = []
    hook = model.model.lm_head.register_forward_hook(lambda layer, inputs, output: seen.append(inputs[0].is_contiguous()))
    try:
        llm.score_options(model, prompts[:3], ["one", "two words"])
        llm.generate(model, prompts[:3], 2)
    finally:
        hook.remove()
    assert len(seen) >= 3 and all(seen)
