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
    bags = index._words([chunk.text for chunk in chunks])
    mean = np.mean([len(bag) for bag in bags])
    query = index._words(["What is the price of Sulmirex at the hatch?"])[0]
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
