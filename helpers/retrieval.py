"""Retrieval: sentence embeddings in a FAISS index, words in a BM25 index, and the fusion of both."""

import functools
import re
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
    """Chunks by meaning: exact search for the nearest embeddings by cosine (faiss.IndexFlatIP).

    reuse: an older DenseIndex; chunks that it has already, word for word, are not embedded again.
    """

    def __init__(self, chunks, reuse=None):
        import faiss
        import numpy as np

        self.chunks = _checked(chunks)
        known = dict(zip((chunk.text for chunk in reuse.chunks), reuse.vectors)) if reuse else {}
        fresh = [chunk.text for chunk in self.chunks if chunk.text not in known]
        known.update(zip(fresh, embed(fresh) if fresh else ()))
        self.vectors = np.stack([known[chunk.text] for chunk in self.chunks])
        self.index = faiss.IndexFlatIP(self.vectors.shape[1])
        self.index.add(self.vectors)

    def search(self, questions, k=3):
        """The k best hits, best first, for each question (all chunks where there are fewer than k)."""
        return self.search_vectors(embed(_asked(questions)), k)

    def search_vectors(self, vectors, k=3):
        """As search, for questions already embedded: float32 [questions, 384]."""
        scores, rows = self.index.search(vectors, min(_positive(k), len(self.chunks)))
        return [[Hit(self.chunks[row], float(score)) for row, score in zip(*pair)] for pair in zip(rows, scores)]


def words(text):
    """The words of a text, in lower case, without the commonest English ones."""
    import bm25s

    return bm25s.tokenize([text], stopwords="en", return_ids=False, show_progress=False)[0]


def letter_pieces(text, length=4):
    """Every run of `length` letters in the words of a text, their ends marked: #bre, bren, … vato, ato# for Brenvato. A misspelt word keeps most."""
    marked = (f"#{word}#" for word in re.findall(r"[^\W_]+", text.lower()))
    return [word[i:i + length] for word in marked for i in range(max(1, len(word) - length + 1))]


class KeywordIndex:
    """Chunks by the terms they share with the question: BM25 (Robertson et al.; the variant of Lucene), through bm25s.

    terms: what turns a text into its terms: words, or letter_pieces.
    """

    def __init__(self, chunks, terms=words):
        import bm25s

        self.chunks, self.terms = _checked(chunks), terms
        self.index = bm25s.BM25()
        self.index.index([terms(chunk.text) for chunk in self.chunks], show_progress=False)

    def search(self, questions, k=3):
        """The k best hits, best first, for each question; fewer where fewer chunks share a term with it, none for no terms at all."""
        k = min(_positive(k), len(self.chunks))
        return [self._search(self.terms(question), k) for question in _asked(questions)]

    def _search(self, terms, k):
        known = [term for term in terms if term in self.index.vocab_dict]
        if not known:
            return []
        rows, scores = self.index.retrieve([known], k=k, show_progress=False)
        return [Hit(self.chunks[row], float(score)) for row, score in zip(rows[0], scores[0]) if score > 0]


class FusedIndex:
    """Both at once: each index ranks, and reciprocal rank fusion joins the rankings."""

    def __init__(self, *indexes, depth=20):
        self.indexes, self.depth = indexes, depth
        self.chunks = indexes[0].chunks
        for index in indexes[1:]:
            check_current(index, self.chunks)

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


def check_current(index, chunks):
    """Does an index hold just these chunks? Raises CourseError saying how far they have moved apart."""
    held, wanted = ({(chunk.id, chunk.text) for chunk in some} for some in (index.chunks, chunks))
    if held != wanted:
        raise CourseError(
            f"The index is not of these documents: it lacks {len(wanted - held)} of their chunks and holds {len(held - wanted)} that are "
            "not there (any more). Build the index again."
        )


def _checked(chunks):
    chunks = list(chunks)
    if not chunks:
        raise CourseError("There are no chunks to index: load some documents and cut them into chunks first.")
    seen = set()
    for chunk in chunks:
        if chunk.id in seen:
            raise CourseError(f"Two chunks have the id {chunk.id!r}: give every document an id of its own.")
        seen.add(chunk.id)
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
