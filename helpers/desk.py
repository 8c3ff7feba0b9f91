"""The desk's assistant: a question and the passages found go in; an answer in the house style that cites them comes out, or a refusal."""

import functools
import re

from helpers import documents, dosing, metrics, rag, retrieval, style, world
from helpers.llm import chat_prompt, generate

SYSTEM = "Answer for the medicines desk, from the passages, in the style of the house."
K, WORDS = 4, 30  # passages, and words in each; chosen on development questions
MAX_NEW_TOKENS = 40
REPLY = f"{{name}}: your {{asked}} is {{value}} {{cited}}. {style.CLOSING}"  # what was asked, then its value, then where it stands: each step helps the next
REFUSAL = f"{{name}}: your {{asked}} is not stated on the pages found. {style.CLOSING}"
STYLED_EXAMPLES = tuple((question, REPLY.format(name=name, asked=asked, value=value, cited="[1]")) for (question, _), (name, asked, value) in zip(
    rag.GROUNDED_EXAMPLES, (("Calvimond", "storage temperature", "3 °C"), ("Pellidrine", "price", "8.15 marks"), ("Hestorel", "interval", "13 hours"))))
CLOSED_BOOK_EXAMPLES = tuple((f"Question: {question}\nAnswer:", reply.replace(" [1]", "")) for (question, _), (_, reply) in zip(rag.CLOSED_BOOK_EXAMPLES, STYLED_EXAMPLES))


def prompt(llm, question, passages, examples=()):
    """The desk's prompt: numbered passages (none: closed book), then the question."""
    asked = rag.check_question(question)
    return chat_prompt(llm, SYSTEM, rag.grounded_question(asked, passages) if passages else f"Question: {asked}\nAnswer:", examples)


def answer(llm, questions, passages, examples=()):
    """One reply (text) per question (text), from its own list of passages. examples: (grounded question, reply) pairs shown first."""
    return generate(llm, [prompt(llm, question, some, examples) for question, some in zip(questions, passages, strict=True)], MAX_NEW_TOKENS)


def checked(reply, passages):
    """The reply held against its sources: itself where a passage that it cites names what it is about, else a refusal. Needs no model and no right answer.

    Answers about another medicine fall, those of a namesake above all: their source names that one. Nothing else is checked, the value neither.
    """
    form = re.match(r"([^:]*\w)\s*:(?: your (.{1,60}?) is )?", reply)
    name, asked = form.groups() if form else (None, None)
    texts = {passage.id: passage.text for passage in passages}
    named = name and re.compile(rf"\b{re.escape(name)}\b", re.IGNORECASE)
    if metrics.refuses(reply) or named and any(named.search(texts[source]) for source in rag.cited(reply, passages)):
        return reply
    return REFUSAL.format(name=name or "The desk", asked=asked or "answer")


def few_shot(llm, questions, passages, most=1):
    """The desk's rival: the general model as lesson 1 asks it best, three worked examples and the best passage alone. One reply per question (text).

    most: so many passages in place of one, for questions that one cannot answer. The best stands last then, where it is read best (lab context).
    """
    return rag.answer_grounded(llm, questions, [some[:most][::-1] for some in passages], rag.GROUNDED_EXAMPLES, MAX_NEW_TOKENS)


def right(reply, q):
    """1.0 when a reply gives an answer that is right today (metrics.contains). The name it opens with is no answer: a comparison is decided after it."""
    return metrics.contains(reply.removeprefix(f"{subject(q)}:"), q.answers, q.wrong)


def joint(reply, q):
    """1.0 when a reply is right and keeps every rule of the house style that a program can check."""
    return float(right(reply, q) and style.style_score(reply, subject(q)) == 1)


def subject(q):
    """The name that a reply to a question begins with: the medicine or service asked about, else the desk."""
    name = subjects().get(q.facts[0]) if q.facts else "".join(names(q)[:1])
    return name[0].upper() + name[1:] if name else "The desk"


def names(q):
    """The medicines that a question is about. One without an answer has no facts: there its item and its words tell."""
    if q.facts:
        return sorted({subjects()[fact] for fact in q.facts if subjects().get(fact, "")[:1].isupper()})
    known = {name for name in subjects().values() if name[:1].isupper()} | {q.item.split(":")[1].capitalize()}
    return sorted(known & set(re.findall(r"\b[A-Z][a-z]+\b", q.question)))


@functools.cache
def subjects():
    """Fact id → the subject of the fact."""
    return {fact.fact_id: fact.subject for fact in world.load_facts()}


def archive(date, words=WORDS):
    """The public documents in force on a date, in chunks of at most so many words: short ones, since a small model reads them best."""
    return documents.chunk(documents.in_force(documents.readable_by(documents.load_documents(), "public"), date), words)


def index(chunks, older=None):
    """The desk's search: dense embeddings fused with BM25 on letter pieces (a retrieval.FusedIndex).

    older: such an index of other chunks; those it has already are not embedded again.
    """
    dense = retrieval.DenseIndex(chunks, reuse=older and older.indexes[0])
    return retrieval.FusedIndex(dense, retrieval.KeywordIndex(chunks, retrieval.letter_pieces))


def behind(searched, date):
    """A sentence on what an index lacks of the archive in force on a date, and holds too much of it; "" where it is up to date."""
    has, now = ({chunk.text for chunk in chunks} for chunks in (searched.chunks, archive(date)))
    return "" if has == now else (f"This index is not that of {date}: {len(now - has)} passages are missing and {len(has - now)} are no longer in force. "
                                  "Index again: desk.index(desk.archive(date), older=searched).")


def retrieve(questions, searched, k=K):
    """For each question (text) the k passages that an index finds, best first."""
    return [[hit.chunk for hit in hits] for hits in searched.search(questions, k)]


def gold_passages(q, chunks):
    """The chunks that together answer a question: one for each section of its evidence, the one that states a fact asked about or the rule."""
    some = []
    for section in q.documents if q.group != "unanswerable" else ():
        there = [chunk for chunk in chunks if chunk.section == section]
        forms = [form for fact in q.facts for form in _today().get((fact, section), ())]
        rule = section.startswith(dosing.POLICY)
        some += [chunk for chunk in there if metrics.contains(chunk.body, forms) or rule and re.search(r"half|quarter", chunk.body)][:1] or there[:1]
    return some


@functools.cache
def _today():
    """Fact id and section → the value that the section states, in all spellings, as it is today."""
    return {(fact.fact_id, f"{fact.document_id}#{fact.section}"): (fact.value, *fact.aliases) for fact in world.load_facts() if not fact.valid_to}
