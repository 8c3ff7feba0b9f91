"""Does a reply keep the desk's house style? The rules a program can check; data/house-style.md describes them."""

import re

CLOSING = "Ask the desk if in doubt."
MOST_WORDS = 40
THIRD_PERSON = re.compile(r"\b(the patient|patients?|individuals?)\b", re.IGNORECASE)
NOT_OURS = re.compile(
    r"\b(drugs?|medications?|monographs?|leaflets?|documents?|please|sorry|thanks?)\b|[!?]", re.IGNORECASE
)


def check_style(reply, subject, value):
    """The six rules that can be checked, as a dictionary from rule to whether the reply keeps it.

    subject: the name the reply must begin with; value: the value it must give word for word.
    """
    reply = reply.strip()
    return {
        "name_first": reply.startswith(f"{subject}:"),
        "short": len(reply.split()) <= MOST_WORDS and len(re.findall(r"\.(?:\s|$)", reply)) <= 3,
        "to_the_reader": bool(re.search(r"\byou(r|rs|rself)?\b", reply, re.IGNORECASE)) and not THIRD_PERSON.search(reply),
        "figures": value in reply,
        "house_words": not NOT_OURS.search(reply),
        "closing_line": reply.endswith(CLOSING),
    }


def style_score(reply, subject):
    """The share of the rules of form kept, from 0 to 1: all but "figures", which is about the content."""
    kept = check_style(reply, subject, "")
    del kept["figures"]
    return sum(kept.values()) / len(kept)
