"""Indexes against brute force, fusion against a case worked by hand."""

import numpy as np
import pytest

from helpers import CourseError, documents, retrieval, world


@pytest.fixture(scope="module")
def chunks():
    return documents.chunk(documents.load_documents())


@pytest.fixture(scope="module")
def questions():
    return [question.question for question in world.one_per_fact(world.load_questions(split="development"))]


def test_embeddings_are_unit_vectors_and_put_like_with_like():
    vectors = retrieval.embed(["How cold should it be kept?", "At what temperature is it stored?", "The price is nine marks."])
    assert vectors.shape == (3, 384) and vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_the_dense_index_finds_what_brute_force_finds(chunks, questions):
    hits = retrieval.DenseIndex(chunks).search(questions, 5)
    cosines = retrieval.embed(questions) @ retrieval.embed(chunk.text for chunk in chunks).T
    for row, found in zip(cosines, hits):
        np.testing.assert_allclose([hit.score for hit in found], np.sort(row)[::-1][:5], atol=1e-5)
        assert found[0].chunk == chunks[int(row.argmax())]


def test_bm25_agrees_with_the_formula(chunks):
    """Lucene's BM25 written out: Σ idf · tf / (tf + k1 (1 − b + b · length / mean length)), k1 = 1.5, b = 0.75."""
    index = retrieval.KeywordIndex(chunks)
    bags = [retrieval.words(chunk.text) for chunk in chunks]
    mean = np.mean([len(bag) for bag in bags])
    query = retrieval.words("What is the price of Sulmirex at the hatch?")
    scores = np.zeros(len(bags))
    for word in query:
        df = sum(word in bag for bag in bags)
        idf = np.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
        for row, bag in enumerate(bags):
            tf = bag.count(word)
            scores[row] += idf * tf / (tf + 1.5 * (0.25 + 0.75 * len(bag) / mean)) if tf else 0
    hits = index.search(["What is the price of Sulmirex at the hatch?"], 5)[0]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:5], rtol=1e-4)


def test_fusion_by_hand(chunks):
    a, b, c = (retrieval.Hit(chunk, 0.0) for chunk in chunks[:3])
    fused = retrieval.fuse([[a, b], [b, c]])
    assert [hit.chunk for hit in fused] == [b.chunk, a.chunk, c.chunk]
    assert fused[0].score == pytest.approx(1 / 62 + 1 / 61)


def test_fused_search_agrees_with_fusing_by_hand(chunks, questions):
    dense, keyword = retrieval.DenseIndex(chunks), retrieval.KeywordIndex(chunks)
    fused = retrieval.FusedIndex(dense, keyword).search(questions[:3], 4)
    for question, hits in zip(questions, fused):
        assert hits == retrieval.fuse([dense.search([question], 20)[0], keyword.search([question], 20)[0]])[:4]


def test_search_with_nothing_in_common_finds_nothing_by_keyword(chunks):
    assert retrieval.KeywordIndex(chunks).search(["zzzz qqqq"], 3) == [[]]
    assert retrieval.KeywordIndex(chunks).search(["the of and"], 3) == [[]]


def test_k_larger_than_the_corpus_returns_everything(chunks):
    for index in (retrieval.DenseIndex(chunks[:2]), retrieval.KeywordIndex(chunks[:2])):
        assert chunks[0] in [hit.chunk for hit in index.search([chunks[0].text], 50)[0]]
    assert len(retrieval.DenseIndex(chunks[:2]).search(["anything"], 50)[0]) == 2


@pytest.mark.parametrize("ask, message", [
    (lambda index: index.search([" "]), "question is empty"),
    (lambda index: index.search("one question"), "list of questions"),
    (lambda index: index.search(["one"], 0), "k is 0"),
])
def test_bad_searches_are_told(chunks, ask, message):
    for make in (retrieval.DenseIndex, retrieval.KeywordIndex):
        with pytest.raises(CourseError, match=message):
            ask(make(chunks[:3]))


def test_an_empty_corpus_is_told():
    for make in (retrieval.DenseIndex, retrieval.KeywordIndex):
        with pytest.raises(CourseError, match="no chunks to index"):
            make([])


def test_letter_pieces_of_a_word_and_of_a_slip():
    assert retrieval.letter_pieces("Keep it") == ["#kee", "keep", "eep#", "#it#"]
    right, slip = set(retrieval.letter_pieces("Brenvato")), set(retrieval.letter_pieces("Brenvatto"))
    assert len(right & slip) / len(right) >= 0.7 and not set(retrieval.words("Brenvato")) & set(retrieval.words("Brenvatto"))


def test_letters_find_a_misspelt_name_that_words_miss(chunks):
    first = retrieval.KeywordIndex(chunks, retrieval.letter_pieces).search(["Quellivvar"], 1)[0]
    assert "Quellivar" in first[0].chunk.text
    assert retrieval.KeywordIndex(chunks).search(["Quellivvar"], 1) == [[]]


def test_fusing_meaning_and_letters_puts_gold_among_the_first_three_in_nine_of_ten_cases():
    current = documents.in_force(documents.readable_by(documents.load_documents(), "public"), world.dates()["second"])
    cut = documents.chunk(current, words=60)  # the length that did best on development questions
    asked = world.load_questions(("stable_tuned", "stable_unseen", "changed"), split="test")
    fused = retrieval.FusedIndex(retrieval.DenseIndex(cut), retrieval.KeywordIndex(cut, retrieval.letter_pieces))
    hits = fused.search([q.question for q in asked], 3)
    found = [bool({hit.chunk.id for hit in some} & set(world.gold_chunks(q, cut))) for some, q in zip(hits, asked)]
    assert np.mean(found) >= 0.9


def test_a_dense_index_reuses_the_embeddings_of_unchanged_chunks(chunks, monkeypatch):
    older = retrieval.DenseIndex(chunks[:30])
    embedded = []
    monkeypatch.setattr(retrieval, "embed", lambda texts, real=retrieval.embed: embedded.extend(texts) or real(texts))
    newer = retrieval.DenseIndex(chunks[10:40], reuse=older)
    assert embedded == [chunk.text for chunk in chunks[30:40]]
    np.testing.assert_allclose(newer.vectors[:20], older.vectors[10:], atol=1e-6)


def test_an_index_older_than_its_documents_is_told(chunks):
    index = retrieval.KeywordIndex(chunks[:10])
    retrieval.check_current(index, chunks[:10])
    with pytest.raises(CourseError, match="lacks 2 of their chunks and holds 1 that are not there"):
        retrieval.check_current(index, chunks[1:12])
    with pytest.raises(CourseError, match="Build the index again"):
        retrieval.FusedIndex(retrieval.KeywordIndex(chunks[:10]), retrieval.KeywordIndex(chunks[:9]))


def test_duplicate_ids_are_told(chunks):
    for make in (retrieval.DenseIndex, retrieval.KeywordIndex):
        with pytest.raises(CourseError, match="Two chunks have the id"):
            make([chunks[0], chunks[0]])
