"""Retrieval: sentence embeddings in a FAISS index, words in a BM25 index, and the fusion of both."""

import functools
from dataclasses import dataclass

from helpers import CourseError, weights
from helpers.documents import Chunk


@dataclass(frozen=True)
class Hit:
    """A chunk that a search found. A higher score is better; scores of different indexes do not compare."""

    chunk: Chunk
    score: float


@functools.cache
def load_embedder():
    """The sentence embedder (all-MiniLM-L6-v2, 384 dimensions), on the CPU in fp32 whatever the language model uses."""
    from sentence_transformers import SentenceTransformer

    with weights.quiet_transformers():
        return SentenceTransformer(str(weights.embedder_folder()), device="cpu", local_files_only=True)


def embed(texts):
    """Embeddings of texts: float32 array [texts, 384], each row of length 1, so that a dot product is a cosine."""
    return load_embedder().encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False)


class DenseIndex:
    """Chunks by meaning: exact search for the nearest embeddings by cosine (faiss.IndexFlatIP)."""

    def __init__(self, chunks):
        import faiss

        self.chunks = _not_empty(chunks)
        vectors = embed(chunk.text for chunk in self.chunks)
        self.index = faiss.IndexFlatIP(vectors.shape[1])
        self.index.add(vectors)

    def search(self, questions, k=3):
        """The k best hits, best first, for each question (all chunks where there are fewer than k)."""
        return self.search_vectors(embed(_asked(questions)), k)

    def search_vectors(self, vectors, k=3):
        """As search, for questions already embedded: float32 [questions, 384]."""
        scores, rows = self.index.search(vectors, min(_positive(k), len(self.chunks)))
        return [[Hit(self.chunks[row], float(score)) for row, score in zip(*pair)] for pair in zip(rows, scores)]


class KeywordIndex:
    """Chunks by words: BM25 (Robertson et al.; the variant of Lucene), through bm25s, without common English words."""

    def __init__(self, chunks):
        import bm25s

        self.chunks = _not_empty(chunks)
        self.index = bm25s.BM25()
        self.index.index(self._words([chunk.text for chunk in self.chunks]), show_progress=False)

    def search(self, questions, k=3):
        """The k best hits, best first, for each question; fewer where fewer chunks share a word with it."""
        k = min(_positive(k), len(self.chunks))
        rows, scores = self.index.retrieve(self._words(_asked(questions)), k=k, show_progress=False)
        return [[Hit(self.chunks[row], float(score)) for row, score in zip(*pair) if score > 0] for pair in zip(rows, scores)]

    @staticmethod
    def _words(texts):
        import bm25s

        return bm25s.tokenize(texts, stopwords="en", return_ids=False, show_progress=False)


class FusedIndex:
    """Both at once: each index ranks, and reciprocal rank fusion joins the rankings."""

    def __init__(self, *indexes, depth=20):
        self.indexes, self.depth = indexes, depth
        self.chunks = indexes[0].chunks

    def search(self, questions, k=3):
        """The k best hits, best first, for each question."""
        rankings = [index.search(questions, max(self.depth, _positive(k))) for index in self.indexes]
        return [fuse(ranked)[:k] for ranked in zip(*rankings)]


def fuse(rankings, constant=60):
    """One ranking out of several: a chunk scores the sum of 1 / (constant + rank), ranks counted from 1.

    Source: Cormack, Clarke and Büttcher 2009, "Reciprocal rank fusion outperforms Condorcet …", where the constant is 60.
    """
    scores, chunks = {}, {}
    for ranking in rankings:
        for rank, hit in enumerate(ranking, 1):
            chunks[hit.chunk.id] = hit.chunk
            scores[hit.chunk.id] = scores.get(hit.chunk.id, 0.0) + 1 / (constant + rank)
    best = sorted(scores, key=lambda name: (-scores[name], name))
    return [Hit(chunks[name], scores[name]) for name in best]


def _not_empty(chunks):
    chunks = list(chunks)
    if not chunks:
        raise CourseError("There are no chunks to index: load some documents and cut them into chunks first.")
    return chunks


def _asked(questions):
    if isinstance(questions, str):
        raise CourseError("search takes a list of questions: put the one question into brackets, [question].")
    questions = list(questions)
    if not all(question.strip() for question in questions):
        raise CourseError("The question is empty: write what you want to know.")
    return questions


def _positive(k):
    if k < 1:
        raise CourseError(f"k is {k}: ask for at least 1 passage.")
    return k
