"""The invented world is sound, large enough, unknown to the base model, and each fault in it would be named."""

import json
import re
import shutil
import time
from collections import Counter, defaultdict
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import COURSE, CourseError, claims, documents, exercises, llm, metrics, rag, retrieval, tasks, validate, world


def test_the_data_has_no_faults():
    assert validate.problems() == []


def test_there_is_as_much_as_promised():
    kinds = Counter(document.kind for document in documents.load_documents())
    assert kinds["monograph"] >= 60 and kinds["policy"] >= 20 and kinds["faq"] >= 20 and kinds["bulletin"] >= 40
    asked = world.load_questions(groups=validate.SINGLE)
    assert len({question.fact for question in asked}) >= 200
    assert min(Counter(question.fact for question in asked).values()) >= 8
    items = {group: len({q.item for q in world.load_questions(groups=(group,))}) for group in world.GROUPS}
    for group, least in (("changed", 40), ("reversed", 40), ("two_document", 40), ("aggregate", 30), ("rule", 40), ("unanswerable", 50), ("staff_only", 20)):
        assert items[group] >= least, (group, items)
    kinds = Counter(q.kind for q in {q.item: q for q in world.load_questions(("unanswerable",))}.values())
    assert set(kinds) == {"no_attribute", "similar_medicine", "nothing"} and min(kinds.values()) >= 15
    assert len(tasks.load_triage()) >= 300 and len(tasks.load_style()) >= 150 and len(tasks.load_general()) >= 150
    assert sum(len(passage.split()) for passage in tasks.load_prose()) >= 3000
    assert Counter(row["repeats"] for row in tasks.load_canaries()) == {0: 40, 1: 14, 4: 13, 16: 13}


def test_loading_everything_takes_less_than_a_second():
    for cached in (world._all_questions, tasks._rows):
        cached.cache_clear()
    start = time.perf_counter()
    documents.load_documents(), world.load_facts(), world.load_questions(), tasks.load_triage(), tasks.load_style(), tasks.load_general()
    tasks.load_canaries(), tasks.load_prose(), claims.load_claims()
    assert time.perf_counter() - start < 1


def test_documents_are_prose_of_the_promised_length_and_not_copies():
    """The share of 8-word sequences that another document has too."""
    seen, shared, total = {}, 0, 0
    for document in documents.load_documents():
        words = metrics.normalise(document.text).split()
        assert 70 <= len(words) <= 260, document.id
        for i in range(len(words) - 7):
            total += 1
            shared += seen.setdefault(tuple(words[i:i + 8]), document.id) != document.id
    assert shared / total < 0.001


def test_practice_pages_are_no_copies():
    words = lambda text: metrics.normalise(text).split()
    sequences = lambda text: {tuple(words(text)[i:i + 8]) for i in range(len(words(text)) - 7)}
    archive = set().union(*(sequences(document.text) for document in documents.load_documents()))
    pages = [chunk.body for chunk, _ in exercises.load_practice()]
    assert len(pages) > 1000 and not any(sequences(page) & archive for page in pages)


def test_the_datasheet_counts_the_practice_pages_right():
    facts = [fact for _, some in exercises.load_practice() for fact in some]
    subjects = {fact["about"] for fact in facts}
    medicines = sum(name[0].isupper() for name in subjects)
    said = (f"{medicines} medicines and {len(subjects) - medicines} services that nothing else here names | {len(exercises.load_practice()):,} pages, {len(facts):,} facts, "
            f"{sum(len(fact['questions']) for fact in facts):,} questions |")
    assert said in (world.DATA / "README.md").read_text(encoding="utf-8")


def test_a_malformed_practice_page_is_named(tmp_path, monkeypatch):
    (tmp_path / "practice.jsonl").write_text('{"about": "Nobody"}\n', encoding="utf-8")
    monkeypatch.setattr(world, "DATA", tmp_path)
    with pytest.raises(CourseError, match="practice.jsonl, line 1: not a page to practise on"):
        exercises.load_practice.__wrapped__()


def test_documents_open_differently():
    openings = Counter(" ".join(metrics.normalise(document.text).split()[:2]) for document in documents.load_documents())
    assert max(openings.values()) <= 4, openings.most_common(3)


def test_some_names_differ_by_one_letter_and_lie_across_splits():
    splits = {fact.split(".")[0]: q.subject_split for q in world.load_questions(validate.SINGLE) for fact in q.facts}
    close = [(a, b) for a in splits for b in splits if a < b and len(a) == len(b) and sum(x != y for x, y in zip(a, b)) == 1]
    assert len(close) >= 10 and sum(splits[a] != splits[b] for a, b in close) >= 8


def test_both_dates_load_and_differ_where_a_bulletin_changed_something():
    first, second = (documents.in_force(documents.load_documents(), date) for date in world.dates().values())
    for question in world.load_questions(groups=("changed",)):
        held = lambda docs, answers: any(metrics.contains(s.text, answers) and question_subject(question).lower() in s.text.lower() for d in docs for s in d.sections)
        assert held(first, question.stale) and held(second, question.answers)


def question_subject(question):
    return next(fact.subject for fact in world.load_facts() if fact.fact_id == question.facts[0])


def test_development_and_test_share_no_unseen_subject_and_no_phrasing():
    development, test = world.load_questions(split="development"), world.load_questions(split="test")
    assert not {q.id for q in development} & {q.id for q in test}
    single = ("stable_unseen",)
    assert not {q.fact for q in development if q.group in single} & {q.fact for q in test if q.group in single}
    assert {q.subject_split for q in world.load_questions(split="train")} == {"tuned"}


def masked(text, names):
    return re.sub(rf"\b({names})\b", "X", text)


def test_no_phrasing_nearly_recurs_across_splits():
    """By meaning (cosine of embeddings) and by letters (Jaccard of 5-letter sequences, medicines' names masked)."""
    from sklearn.feature_extraction.text import CountVectorizer

    practice = [SimpleNamespace(question=e.question, split="train", item=e.item) for e in exercises.practice_exercises()]
    asked = world.load_questions() + practice
    subjects = {fact.subject for fact in world.load_facts()} | {fact["about"].removeprefix("the ") for _, facts in exercises.load_practice() for fact in facts}
    names = "|".join(sorted(subjects, key=len, reverse=True))
    grams = CountVectorizer(analyzer="char_wb", ngram_range=(5, 5), binary=True).fit_transform(masked(q.question, names) for q in asked)
    sizes = np.asarray(grams.sum(1)).ravel()
    rows = {split: [i for i, q in enumerate(asked) if q.split == split] for split in ("train", "development", "test")}
    vectors = retrieval.embed(q.question for q in asked)
    for first, second in (("train", "test"), ("train", "development"), ("development", "test")):
        a, b = rows[first], rows[second]
        common = (grams[a] @ grams[b].T).toarray()
        assert (common / (sizes[a][:, None] + sizes[b] - common)).max() < 0.6
        same_item = np.array([[asked[i].item == asked[j].item for j in b] for i in a])
        assert (vectors[a] @ vectors[b].T)[same_item].max() < 0.98


def test_the_base_model_does_not_know_this_world():
    """At most 5% right in any group about facts, 8% over all with comparisons, whose answers the question may name."""
    asked = [q for q in world.load_questions() if q.split == "development" and q.answers]
    replies = rag.answer_closed_book(llm.load_model(), [q.question for q in asked])
    right = defaultdict(list)
    for reply, q in zip(replies, asked):
        right[q.group].append(metrics.contains(reply, q.answers, q.wrong))
    shares = {group: sum(some) / len(some) for group, some in right.items()}
    chance = world.chance_levels(asked)["aggregate"]
    assert shares.pop("aggregate") <= chance and max(shares.values()) <= 0.05, shares


def test_the_base_model_has_common_knowledge_to_lose():
    rows, model = tasks.load_general(), llm.load_model()
    prompts = [rag.closed_book_prompt(model, row["question"]) for row in rows]
    scores = llm.score_options(model, prompts, [row["options"] for row in rows])
    assert (scores.argmax(1) == 0).mean() >= 0.6


def test_chance_levels_are_low_where_they_should_be():
    levels = world.chance_levels(world.load_questions(split="test"))
    assert set(levels) == set(world.GROUPS) - {"unanswerable"}
    assert all(level <= 0.06 for group, level in levels.items() if group not in ("aggregate", "two_document"))
    assert levels["two_document"] <= 0.15 and levels["aggregate"] <= 0.25


def test_the_live_size_is_a_fixed_part_of_the_full_one(monkeypatch):
    asked = world.load_questions(validate.SINGLE, split="test")
    live = world.sized(asked)
    assert 30 <= len(live) <= 40 and len({q.fact for q in live}) == len(live) and live == world.sized(asked)
    assert {q.group for q in live} == set(validate.SINGLE)
    monkeypatch.setenv("COURSE_SIZE", "full")
    assert world.sized(asked) == asked


def test_the_disclaimer_is_on_the_first_page_and_in_the_datasheet():
    first = (COURSE / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf-8")
    sheet = (world.DATA / "README.md").read_text(encoding="utf-8")
    assert "invented" in first and "medical advice" in first and "invented" in sheet and "medical advice" in sheet


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


def edit_practice(change):
    def edit(folder):
        lines = (folder / "practice.jsonl").read_text(encoding="utf-8").splitlines()
        row = next(json.loads(line) for line in lines if json.loads(line)["facts"])
        row |= {key: value for key, value in change.items() if key in row}
        row["facts"][0] |= {key: value for key, value in change.items() if key not in row}
        (folder / "practice.jsonl").write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n", encoding="utf-8")
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
    (edit_practice({"about": "Brenvato"}), "practice.jsonl, line 1, about: 'Brenvato' is a name of the documents"),
    (edit_practice({"title": "Nothing, Nothing", "body": "It stands in cabinet 58 behind the door."}), "practice.jsonl, line 1, body: neither it nor the title names"),
    (edit_practice({"body": "Nothing of the kind stands here about Jorutove."}), "practice.jsonl, line 1, value: "),
    (edit_practice({"asked": "mood"}), "practice.jsonl, line 1"),
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
