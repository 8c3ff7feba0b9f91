"""Documents, dates, access and chunks."""

import pytest

from helpers import CourseError, documents

GOOD = """---
id: {id}
title: "Tests"
kind: monograph
effective: {effective}
supersedes: {supersedes}
access: {access}
---

## One part

First sentence here. Second sentence here.

## Other part

Third sentence.
"""


@pytest.fixture
def archive(tmp_path):
    def write(id, effective="2031-01-01", supersedes="[]", access="public", text=GOOD):
        (tmp_path / f"{id}.md").write_text(text.format(id=id, effective=effective, supersedes=supersedes, access=access))
        return tmp_path
    return write


def test_a_document_is_read_whole(archive):
    (document,) = documents.load_documents(archive("tests"))
    assert [section.anchor for section in document.sections] == ["one-part", "other-part"]
    assert document.sections[0].text == "First sentence here. Second sentence here."


def test_dates_retire_documents_and_sections(archive):
    archive("a")
    archive("b")
    folder = archive("c", effective="2031-06-01", supersedes='["a", "b#one-part"]')
    everything = documents.load_documents(folder)
    before = documents.in_force(everything, "2031-05-31")
    after = documents.in_force(everything, "2031-06-01")
    mixed = documents.in_force(everything, "2031-06-01", retire=False)
    assert [d.id for d in before] == ["a", "b"] and len(before[1].sections) == 2
    assert [d.id for d in after] == ["b", "c"] and [s.anchor for s in after[0].sections] == ["other-part"]
    assert [d.id for d in mixed] == ["a", "b", "c"] and len(mixed[1].sections) == 2


def test_access(archive):
    archive("open")
    found = documents.load_documents(archive("closed", access="staff"))
    assert [d.id for d in documents.readable_by(found, "public")] == ["open"]
    assert len(documents.readable_by(found, "staff")) == 2
    with pytest.raises(CourseError, match="'public' or 'staff'"):
        documents.readable_by(found, "everyone")


def test_chunks_lose_and_repeat_nothing():
    found = documents.load_documents()
    for words in (15, 60):
        chunks = documents.chunk(found, words=words)
        assert len({chunk.id for chunk in chunks}) == len(chunks)
        for document in found:
            for section in document.sections:
                place = f"{document.id}#{section.anchor}" if section.anchor else document.id
                joined = " ".join(chunk.body for chunk in chunks if chunk.section == place)
                assert joined.split() == section.text.split()
        longest = max(len(s.split()) for d in found for part in d.sections for s in documents.sentences(part.text))
        assert max(len(chunk.body.split()) for chunk in chunks) <= max(words, longest)


def test_overlap_repeats_whole_sentences(archive):
    found = documents.load_documents(archive("tests"))
    bodies = [chunk.body for chunk in documents.chunk(found, words=3, overlap=0)]
    assert bodies == ["First sentence here.", "Second sentence here.", "Third sentence."]
    bodies = [chunk.body for chunk in documents.chunk(found, words=6, overlap=3)]
    assert bodies[0] == "First sentence here. Second sentence here."
    long = documents._pack([f"s{i} w w." for i in range(5)], 6, 3)
    assert long == ["s0 w w. s1 w w.", "s1 w w. s2 w w.", "s2 w w. s3 w w.", "s3 w w. s4 w w."]


@pytest.mark.parametrize("change, message", [
    (("kind: monograph", "kind: novel"), "kind is 'novel': use one of monograph"),
    (("access: public", "access: all"), "access is 'all'"),
    (("effective: 2031-01-01", "effective: soon"), "effective is 'soon': write a date"),
    (("supersedes: []", "supersedes: a"), "supersedes is 'a': write a list"),
    (("id: tests", "id: other"), "id is 'other': make it the file's name, tests"),
    (('title: "Tests"\n', ""), "must have exactly the fields"),
    (('title: "Tests"', 'title: "Tests'), "is not YAML"),
    (("effective: 2031-01-01", "effective: 2031-01-01 10:00:00"), "write a date"),
    (('title: "Tests"', "title:"), "title is None"),
    (("## Other part", "## One part"), "two of its headings are alike"),
    (("---\nid", "id"), "no front matter"),
])
def test_malformed_documents_are_named(archive, tmp_path, change, message):
    path = archive("tests") / "tests.md"
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(CourseError, match="tests.md") as told:
        documents.load_documents(tmp_path)
    assert message in str(told.value)


def test_empty_and_missing_folders_are_told(tmp_path):
    with pytest.raises(CourseError, match="holds no documents"):
        documents.load_documents(tmp_path)
    with pytest.raises(CourseError, match="There is no folder"):
        documents.load_documents(tmp_path / "nowhere")


def test_impossible_chunk_sizes_are_told():
    for words, overlap in ((0, 0), (10, 10), (10, -1)):
        with pytest.raises(CourseError, match="words must be 1 or more"):
            documents.chunk([], words=words, overlap=overlap)


def test_front_matter_can_run_nothing(archive, tmp_path):
    path = archive("tests") / "tests.md"
    path.write_text(path.read_text().replace('"Tests"', "!!python/object/apply:os.system ['true']"))
    with pytest.raises(CourseError, match="is not YAML"):
        documents.load_documents(tmp_path)


def test_a_document_of_ten_thousand_words_without_a_full_stop_is_cut(tmp_path):
    front = "id: long\ntitle: Long\nkind: faq\neffective: 2030-01-01\nsupersedes: []\naccess: public\n"
    (tmp_path / "long.md").write_text(f"---\n{front}---\n\n## Words\n\n" + "word " * 10_000)
    pieces = documents.chunk(documents.load_documents(tmp_path), words=40)
    assert sum(len(piece.body.split()) for piece in pieces) == 10_000 and max(len(piece.body.split()) for piece in pieces) <= documents.LONGEST


def test_control_characters_are_taken_out_and_markup_stays_text(tmp_path):
    front = "id: odd\ntitle: Odd\nkind: faq\neffective: 2030-01-01\nsupersedes: []\naccess: public\n"
    (tmp_path / "odd.md").write_text(f"---\n{front}---\n\n## One\n\nKeep\x00 it \u202ecold. <script>alert(1)</script>")
    (piece,) = documents.chunk(documents.load_documents(tmp_path))
    assert piece.body == "Keep it cold. <script>alert(1)</script>"
