"""The invented world is sound, large enough, unknown to the base model, and each fault in it would be named."""

import json
import shutil
from collections import Counter

import pytest

from helpers import documents, llm, metrics, rag, retrieval, validate, world


def test_the_data_has_no_faults():
    assert validate.problems() == []


def test_there_is_as_much_as_promised():
    kinds = Counter(document.kind for document in documents.load_documents())
    assert kinds["monograph"] >= 15 and kinds["policy"] >= 5 and kinds["faq"] >= 5 and kinds["bulletin"] >= 8
    asked = world.load_questions(groups=("stable_tuned", "stable_unseen", "changed"))
    assert len({question.fact for question in asked}) >= 40
    assert min(Counter(question.fact for question in asked).values()) >= 8
    assert {question.group for question in world.load_questions()} == set(world.GROUPS)


def test_documents_are_prose_of_the_promised_length_and_not_copies():
    found = documents.load_documents()
    seen, shared, total = {}, 0, 0
    for document in found:
        words = metrics.normalise(document.text).split()
        assert 70 <= len(words) <= 260, document.id
        for i in range(len(words) - 7):
            total += 1
            shared += seen.setdefault(tuple(words[i:i + 8]), document.id) != document.id
    assert shared / total < 0.005


def test_both_dates_load_and_differ_where_a_bulletin_changed_something():
    first, second = (documents.in_force(documents.load_documents(), date) for date in world.dates().values())
    for question in world.load_questions(groups=("changed",)):
        held = lambda docs, answers: any(metrics.contains(s.text, answers) and question_subject(question) in s.text for d in docs for s in d.sections)
        assert held(first, question.stale) and held(second, question.answers)


def question_subject(question):
    return next(fact.subject for fact in world.load_facts() if fact.fact_id == question.facts[0])


def test_development_and_test_share_no_unseen_subject_and_no_phrasing():
    development, test = world.load_questions(split="development"), world.load_questions(split="test")
    assert not {q.id for q in development} & {q.id for q in test}
    single = ("stable_unseen",)
    assert not {q.fact for q in development if q.group in single} & {q.fact for q in test if q.group in single}
    assert {q.subject_split for q in world.load_questions(split="train")} == {"tuned"}


def test_no_test_phrasing_nearly_repeats_a_training_phrasing():
    asked = world.load_questions(groups=("stable_tuned", "stable_unseen", "changed"))
    test, train = ([q for q in asked if q.split == split] for split in ("test", "train"))
    cosines = retrieval.embed(q.question for q in test) @ retrieval.embed(q.question for q in train).T
    assert cosines.max() < 0.97


def test_the_base_model_does_not_know_this_world():
    asked = world.load_questions(groups=("stable_tuned", "stable_unseen", "changed"), split="development")
    replies = rag.answer_closed_book(llm.load_model(), [q.question for q in asked])
    assert sum(metrics.contains(reply, q.answers) for reply, q in zip(replies, asked)) / len(asked) <= 0.05


def test_the_version_changes_with_the_data(tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(world.DATA, copy)
    assert world.data_version(copy) == world.data_version()
    path = copy / "documents" / "drovisk.md"
    path.write_text(path.read_text() + "\nOne more sentence.\n")
    world.data_version.cache_clear()
    assert world.data_version(copy) != world.data_version()


def edit_question(change):
    def edit(folder):
        lines = (folder / "questions.jsonl").read_text().splitlines()
        row = json.loads(lines[16])  # the first phrasing of a changed fact
        row.update(change)
        lines[16] = json.dumps(row)
        (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
    return edit


def replace_in(name, old, new):
    def edit(folder):
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    return edit


@pytest.mark.parametrize("edit, said", [
    (edit_question({"split": "exam"}), "questions.jsonl, line 17, split"),
    (edit_question({"id": "17"}), "questions.jsonl, line 17, id"),
    (edit_question({"id": "q0001"}), "questions.jsonl, line 17, id: q0001 is used twice"),
    (edit_question({"question": "Is 28 mg of Brenvato the most?"}), "line 17, question: it names its own answer"),
    (edit_question({"answers": ["99 mg"]}), "line 17, answers: the first is '99 mg'"),
    (edit_question({"stale": ["99 mg"]}), "line 17, stale"),
    (edit_question({"documents": ["brenvato#ceiling-for-one-day"]}), "line 17, documents: 'brenvato#ceiling-for-one-day' is not in force"),
    (edit_question({"facts": ["brenvato.nothing"]}), "line 17, facts: there is no fact 'brenvato.nothing'"),
    (edit_question({"subject_split": "unseen_test"}), "brenvato is in the subject splits"),
    (edit_question({"split": "test"}), "brenvato.daily_limit has 4 train phrasings"),
    (replace_in("questions.jsonl", '{"id"', '{id"'), "questions.jsonl, line 1: not readable"),
    (replace_in("facts.csv", "2031-03-23", "2031-03-20"), "brenvato.daily_limit: valid_to is '2031-03-20'"),
    (replace_in("facts.csv", "2029-06-11", "11 June"), "facts.csv, line 2, valid_from"),
    (replace_in("facts.csv", "grey-blue,", "puce,"), "facts.csv, line 2, value: 'puce' does not stand"),
    (replace_in("facts.csv", "at-a-glance", "at-a-distance"), "facts.csv, line 2, section"),
    (replace_in("documents/brenvato.md", "effective: 2029-06-11", "effective: soon"), "brenvato.md: effective is 'soon'"),
    (replace_in("documents/bulletin-2031-03-24-brenvato.md", "brenvato#ceiling", "brenvato#roof"), "supersedes: there is no 'brenvato#roof"),
    (lambda folder: (folder / "facts.csv").unlink(), "facts.csv can't be read"),
    (lambda folder: (folder / "questions.jsonl").write_text(""), "questions.jsonl holds no rows"),
    (lambda folder: (folder / "world.json").write_text("[]"), "world.json does not give the world's two dates"),
    (replace_in("world.json", "2031-12-15", "2031-99-15"), "world.json does not give the world's two dates"),
    (replace_in("facts.csv", "2031-03-23", "2031-03-99"), "valid_to: '2031-03-99' is no date"),
    (replace_in("documents/brenvato.md", "effective: 2029-06-11", "effective: 2029-13-45"), "brenvato.md: the front matter is not YAML"),
    (lambda folder: (folder / "documents" / "brenvato.md").write_bytes(b"---\xff"), "brenvato.md can't be read"),
    (lambda folder: shutil.rmtree(folder / "documents"), "There is no folder"),
    (replace_in("documents/brenvado.md", "\n## ", "\n## More\n\nBrenvado is taken every 14 hours.\n\n## "), "also holds 'every 14 hours'"),
])
def test_each_fault_is_named(tmp_path, edit, said):
    copy = tmp_path / "data"
    shutil.copytree(world.DATA, copy)
    edit(copy)
    assert any(said in fault for fault in validate.problems(copy)), validate.problems(copy)
