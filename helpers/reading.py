"""Rows that practise reading, for the desk's assistant: from these only reading helps.

Several questions are asked of the same few passages, some that these answer and some that they don't; and in most rows a value or a name is exchanged, in
passages, question and reply alike, so that little can be learned by heart.
"""

import itertools
import random
import re
from collections import defaultdict
from dataclasses import replace

from helpers import dosing, metrics, recipes, results, tuning, world
from helpers.desk import K, REFUSAL, REPLY, archive, prompt, subjects
from helpers.exercises import LONGEST, Shelf, load_practice, misspelt, near_pages, practice_exercises, without_unseen, world_exercises

SYLLABLES = ("Bren Cor Dun Fal Gar Hel Ith Jol Kel Lor Mar Nor Oth Par Quil Ren Sor Tal Ul Ver Wex Yar Zel Am Bas Cal Dro Fen".split(),
             "va mo ri the lo ca di no sa".split(), "ne rel tor mine phar dix sol vane lor bane tis".split())


def assistant(llm):
    """The shipped adapter `desk`, trained on reading_rows (see tuning.ready)."""
    return tuning.ready(llm, "desk", reading_rows(llm, seed=results.seed()), recipes.DESK)


def reading_rows(llm, exchange=True, practice=True, seed=0):
    """Rows (prompt, reply) that practise reading, three or four in a row with the same passages, and these in random order.

    They come from two sources: the training questions about medicines that fine-tuning may see, with the archive's pages, and (practice) the pages and
    questions of practice.jsonl, about medicines that are nowhere else. Of each question some wordings lead: `_pages` picks passages around one, and `_asked`
    adds others that the same passages answer, or seem to. About a third of the replies are refusals. exchange: whether names and values are exchanged.
    """
    draw, pages = random.Random(seed), archive(world.dates()["second"])
    lessons = [(world_exercises(pages), 3)] + ([(practice_exercises(), 1)] if practice else [])
    exercises = [e for some, _ in lessons for e in some]
    chunks = without_unseen(pages) + ([chunk for chunk, _ in load_practice()] if practice else [])
    near, shelf = near_pages(exercises, chunks), Shelf(exercises)
    contexts = []
    for some, copies in lessons:
        wordings = defaultdict(list)
        for e in some:
            wordings[e.item].append(e)
        contexts += [_context(llm, draw.choice(same), near, shelf, draw, exchange) for _ in range(copies) for same in wordings.values()]
    draw.shuffle(contexts)
    return [row for rows in contexts for row in rows]


def _context(llm, lead, near, shelf, draw, exchange):
    """The rows of one set of passages: several questions, each with its reply.

    Two kinds of names that nearly agree are told apart by what stands on the pages. A slip of the pen: the question misspells a name that the pages have
    right, and the answer is given. A namesake: the page with the value is that of a medicine of one letter's difference, and pages of the one asked
    about, without the value, lie beside it; then both are asked about. And sometimes a question that these pages answer is asked again about a stranger,
    a medicine that is on no page.
    """
    whole, namesake, passages = _pages(lead, near[lead], draw)
    text = " ".join(chunk.text for chunk in passages)
    asked = [(lead, whole)] + _asked(lead, whole, namesake, passages, shelf, draw)
    swap = _swaps(asked, shelf.on(f"{text} {lead.question}"), shelf.values, draw) if exchange else {}
    name = swap.get(lead.names[0], lead.names[0]) if lead.names else ""
    other = {lead.names[0]: _similar(name, draw)} if namesake else {}
    golden = set(lead.gold) if namesake else set(passages)
    shown = [_changed(chunk, swap if chunk in golden else {**swap, **other}) for chunk in passages]
    rows = [_row(llm, lead, True, passages, shown, swap, draw)] if namesake else []
    for e, answered in asked:
        theirs = {**swap, **other} if namesake and (e is lead or not golden & set(e.gold)) else swap
        rows.append(_row(llm, e, answered, passages, shown, theirs, draw, slip=not namesake))
    known = [e for e, answered in asked if answered and len(e.names) == 1 and re.search(rf"\b{e.names[0]}\b", e.question)]
    if known and draw.random() < 0.3:  # a stranger
        e = draw.choice(known)
        rows.append(_row(llm, e, False, passages, shown, {**swap, e.names[0]: _made_up(draw)}, draw))
    return rows


def _pages(lead, near, draw):
    """(whole, namesake, passages): passages around a question in random order, up to K, as far as LONGEST allows. whole: they answer it. namesake: they would, but
    for the name."""
    gold = list(lead.gold)
    others = [chunk for chunk in near if chunk not in gold and not metrics.contains(chunk.body, lead.answers)]
    own = [chunk for chunk in others if lead.names and lead.names[0] in chunk.text]
    whole = bool(gold) and draw.random() < 0.75
    namesake = bool(gold) and not whole and len(lead.names) == len(gold) == 1 and bool(own) and not misspelt(lead) and draw.random() < 0.6
    if gold and not whole and not namesake:
        gold.remove(draw.choice(gold))  # of several, one goes: it cannot be answered any more
    some, most = list(gold), K if namesake else draw.choice((1, 2, *[K] * 5))
    for chunk in (own + [chunk for chunk in others if chunk not in own] if namesake else others):
        if len(some) < most and sum(len(one.text) for one in (*some, chunk)) + len(lead.question) <= LONGEST:
            some.append(chunk)
    draw.shuffle(some)
    return whole, namesake, some


def _asked(lead, whole, namesake, passages, shelf, draw):
    """What else to ask of these passages, one wording of each item: (exercise, whether they answer it). whole, namesake: see _pages."""
    room = LONGEST - sum(len(chunk.text) for chunk in passages)
    fits = lambda e: e.item != lead.item and len(e.question) <= room and not (namesake and misspelt(e))
    answered = [e for chunk in passages for e in shelf.resting[chunk] if fits(e) and set(e.gold) <= set(passages)]
    about = shelf.on(" ".join(chunk.text for chunk in passages))
    missing = [e for name in about for e in shelf.about[name] if fits(e) and not set(e.gold) & set(passages)]
    silent = lambda e: not any(metrics.contains(chunk.body, e.answers) for chunk in passages)
    return ([(e, True) for e in _one_each(answered, 2, draw)] + [(e, False) for e in _one_each(missing, draw.choice((0, 1, 1, 2) if whole or namesake else (0, 1)), draw, silent)])


def _one_each(exercises, most, draw, suits=lambda e: True):
    """One wording each of up to so many items that suit, at random."""
    wordings = defaultdict(list)
    for e in exercises:
        wordings[e.item].append(e)
    some = (draw.choice(wordings[item]) for item in draw.sample(sorted(wordings), len(wordings)))
    return list(itertools.islice(filter(suits, some), most))


def _swaps(asked, named, values, draw):
    """What to exchange, old → new. Half of the time other names, sometimes names alike; half of the values, as long as nothing is to be compared."""
    swap = {}
    if draw.random() < 0.5 and not any(misspelt(e) for e, _ in asked):  # a misspelt name would stay as it was
        swap |= {name: _made_up(draw) for name in named}
        if len(named) > 1 and draw.random() < 0.3:
            one, other = draw.sample(named, 2)
            swap[other] = _similar(swap[one], draw)
    compared = any(len(e.gold) > 1 and not e.rule for e, _ in asked)
    if not compared:
        for e in (e for e, answered in asked if answered and not e.rule and draw.random() < 0.5 and e.answers[0] in e.gold[0].body):
            value = _other(e.answers[0], sorted(values[e.asked]), draw)
            swap |= {e.answers[0]: value} if value else {}
        for e in (e for e, _ in asked if e.rule):
            swap[f"{dosing.limit(e.rule)} mg"] = f"{draw.choice(dosing.made_up_limits())} mg"
    return swap


def _row(llm, e, answered, passages, shown, swap, draw, slip=False):
    """One row. swap: what was exchanged in the pages that it is about; slip: whether its question may misspell the name."""
    question, about = _replaced(e.question, swap), _replaced(e.about, swap)
    if answered and slip and len(e.names) == 1 and draw.random() < 0.12:
        question = question.replace(about, _similar(about, draw))
    if not answered:
        return prompt(llm, question, shown), REFUSAL.format(name=about, asked=e.asked)
    value = _replaced(e.answers[0], swap)
    if e.rule:
        old = f"{dosing.limit(e.rule)} mg"
        value = dosing.reply(e.rule, int(swap.get(old, old).split()[0]), sum_shown=True)
    places = "".join(f"[{n}]" for n, chunk in enumerate(passages, 1) if chunk in e.gold)
    return prompt(llm, question, shown), REPLY.format(name=about, asked=e.asked, value=value, cited=places)


def _changed(chunk, swap):
    return replace(chunk, title=_replaced(chunk.title, swap), body=_replaced(chunk.body, swap))


def _replaced(text, swap):
    """All exchanges at once, of whole words: what one put in, no other takes out."""
    longest_first = "|".join(re.escape(old) for old in sorted(swap, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{longest_first})(?!\w)", lambda found: swap[found[0]], text) if swap else text


def _made_up(draw):
    """A new name, of syllables that this world does not use together."""
    return "".join(map(draw.choice, SYLLABLES))


def _similar(name, draw):
    """A name that differs in a vowel, as those of the medicines that patients mix up do, and that no medicine has."""
    others = [name[:n] + vowel + name[n + 1:] for n, letter in enumerate(name) if n and letter in "aeiou" for vowel in "aeiou"]
    return draw.choice([other for other in others if other != name and other not in subjects().values()])


def _other(value, known, draw):
    """Another value of the same form: one that another subject has, or the same with another number."""
    others = [other for other in known if other != value]
    number = re.search(r"\d+(\.\d+)?", value)
    if not number or (others and draw.random() < 0.5):
        return draw.choice(others) if others else None
    most = max(30, 2 * int(float(number[0])))
    fresh = f"{draw.uniform(1, most):.2f}" if "." in number[0] else str(draw.randint(2, most))
    return value[:number.start()] + fresh + value[number.end():]
