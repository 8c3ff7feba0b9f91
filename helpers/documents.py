"""Documents and chunks: load them, take the ones in force on a date and open to a reader, cut them into chunks."""

import datetime
import re
from dataclasses import dataclass, replace
from pathlib import Path

from helpers import COURSE, CourseError

KINDS = ("monograph", "policy", "faq", "bulletin")
LONGEST = 150  # words: what the embedder reads of a chunk; more would not fit a prompt either
FIELDS = ("id", "title", "kind", "effective", "supersedes", "access")


@dataclass(frozen=True)
class Section:
    """A titled part of a document. `anchor` is the heading in lower case with hyphens, "" for text before any heading."""

    anchor: str
    heading: str
    text: str


@dataclass(frozen=True)
class Document:
    """One document: `supersedes` lists what it retires ("document" or "document#section"); access is public or staff."""

    id: str
    title: str
    kind: str
    effective: datetime.date
    supersedes: tuple
    access: str
    sections: tuple

    @property
    def text(self):
        return "\n\n".join(section.text for section in self.sections)


@dataclass(frozen=True)
class Chunk:
    """A passage small enough to put into a prompt. `section` is "document#anchor"; `title` says where it stands."""

    id: str
    section: str
    title: str
    body: str

    @property
    def text(self):
        """What is embedded, searched and shown to the model: the title, then the passage."""
        return f"{self.title}: {self.body}"


def load_documents(folder=None):
    """All documents of a folder (default data/documents) as a list sorted by id.

    Raises CourseError naming file, field and remedy for a missing folder, no documents, or a malformed one.
    """
    folder = Path(folder) if folder else COURSE / "data" / "documents"
    if not folder.is_dir():
        raise CourseError(f"There is no folder {folder}: give the folder that holds the documents (*.md).")
    documents = [parse_document(path) for path in sorted(folder.rglob("*.md"))]
    if not documents:
        raise CourseError(f"{folder} holds no documents: put Markdown files (*.md) with their front matter into it.")
    seen = {}
    for document in documents:
        if document.id in seen:
            raise CourseError(f"Two documents of {folder} have the id {document.id!r}: give one of them another id.")
        seen[document.id] = document
    return documents


def parse_document(path):
    """Read one Markdown file with YAML front matter. Raises CourseError naming file, field and remedy."""
    import yaml

    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise CourseError(f"{path.name} can't be read ({problem}): save it as UTF-8 text.") from problem
    parts = re.split(r"^---\s*$", without_control_characters(text), maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise CourseError(f"{path.name}: no front matter. Begin the file with '---', the fields {', '.join(FIELDS)}, and '---'.")
    try:
        fields = yaml.safe_load(parts[1])
    except (yaml.YAMLError, ValueError) as problem:
        raise CourseError(f"{path.name}: the front matter is not YAML ({str(problem).splitlines()[0]}): correct it.") from problem
    if not isinstance(fields, dict) or set(fields) != set(FIELDS):
        raise CourseError(f"{path.name}: the front matter must have exactly the fields {', '.join(FIELDS)}.")
    for field, ok, remedy in (
        ("kind", fields["kind"] in KINDS, f"use one of {', '.join(KINDS)}"),
        ("access", fields["access"] in ("public", "staff"), "use public or staff"),
        ("title", isinstance(fields["title"], str), "write one line of text"),
        ("effective", type(fields["effective"]) is datetime.date, "write a date as 2031-01-31"),
        ("supersedes", isinstance(fields["supersedes"], list), "write a list, [] when it replaces nothing"),
        ("id", fields["id"] == path.stem, f"make it the file's name, {path.stem}"),
    ):
        if not ok:
            raise CourseError(f"{path.name}: {field} is {fields[field]!r}: {remedy}.")
    sections = _sections(parts[2])
    if not sections:
        raise CourseError(f"{path.name}: the document has no text: write some below the front matter, or delete the file.")
    if len({section.anchor for section in sections}) < len(sections):
        raise CourseError(f"{path.name}: two of its headings are alike: give each section a heading of its own.")
    return Document(**{**fields, "supersedes": tuple(fields["supersedes"])}, sections=sections)


def _sections(body):
    """The body cut at its `##` headings."""
    parts = re.split(r"^##\s+(.+?)\s*$", "\n" + body, flags=re.MULTILINE)
    pairs = [("", parts[0])] + list(zip(parts[1::2], parts[2::2]))
    return tuple(Section(slug(heading), heading, text.strip()) for heading, text in pairs if text.strip())


def without_control_characters(text):
    """A text with control characters turned into spaces; line ends and tabs stay."""
    return re.sub(r"[^\S\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff]", " ", text)


def slug(heading):
    """A heading as an anchor: lower case, everything else than letters and digits turned into single hyphens."""
    return re.sub(r"[\W_]+", "-", heading.lower()).strip("-")


def in_force(documents, on, retire=True):
    """The documents as they stand on a date: later ones left out, and superseded documents and sections taken out.

    `on`: a date, or text such as "2031-01-31". retire=False keeps what was superseded, as a forgetful archive would.
    """
    on = datetime.date.fromisoformat(on) if isinstance(on, str) else on
    known = [document for document in documents if document.effective <= on]
    if not retire:
        return known
    retired = {reference for document in known for reference in document.supersedes}
    kept = (
        replace(document, sections=tuple(s for s in document.sections if f"{document.id}#{s.anchor}" not in retired))
        for document in known if document.id not in retired
    )
    return [document for document in kept if document.sections]


def readable_by(documents, role):
    """The documents that a reader may see. `role`: "public" or "staff" (staff read everything)."""
    if role not in ("public", "staff"):
        raise CourseError(f"role is {role!r}: use 'public' or 'staff'.")
    return [document for document in documents if role == "staff" or document.access == "public"]


def chunk(documents, words=60, overlap=0):
    """Cut documents into chunks of whole sentences, at most about `words` words each, never across a section.

    Neighbours share `overlap` words' worth of sentences. A sentence longer than `words` is a chunk of its own, one of more than
    LONGEST words is cut.
    """
    if words < 1 or not 0 <= overlap < words:
        raise CourseError(f"words is {words} and overlap {overlap}: words must be 1 or more, and overlap smaller than words.")
    chunks = []
    for document in documents:
        for section in document.sections:
            title = f"{document.title}, {section.heading}" if section.heading else document.title
            place = f"{document.id}#{section.anchor}" if section.anchor else document.id
            pieces = _pack([part for sentence in sentences(section.text) for part in _cut(sentence)], words, overlap)
            chunks += [Chunk(f"{place}/{n}", place, title, body) for n, body in enumerate(pieces, 1)]
    return chunks


def sentences(text):
    """The sentences of a text; a line of a table or list counts as one."""
    parts = re.split(r"(?<=[.!?])\s+(?=[\"'“(]?[A-Z0-9])|\n+(?=\s*[|*\-•])|\n{2,}", text)
    return [" ".join(part.split()) for part in parts if part and part.strip()]


def _cut(sentence):
    """A sentence in pieces of at most LONGEST words, for texts that know no full stops."""
    words = sentence.split()
    return [" ".join(words[i:i + LONGEST]) for i in range(0, len(words), LONGEST)]


def _pack(parts, words, overlap):
    """Join sentences into pieces of at most `words` words, each starting with the last `overlap` words' sentences before it."""
    pieces, current, fresh = [], [], False
    size = lambda some: sum(len(part.split()) for part in some)
    for part in parts:
        if fresh and size(current + [part]) > words:
            pieces.append(" ".join(current))
            while current and size(current) > overlap:
                current = current[1:]
            fresh = False
        current, fresh = current + [part], True
    return pieces + [" ".join(current)] if fresh else pieces
