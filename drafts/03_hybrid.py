# %% [markdown]
# 3 · The hybrid: an assistant tuned for its trade that looks up today's facts

You train one model to recite and the same model to read, give both the same passages, and see what tuning and retrieval are worth together.

**Claims tested here:** H1, both together beat either alone · H2, tune for the voice, retrieve for the facts · H3, a medical assistant should be tuned for terms and manner and look up current information · F1, fine-tuning gives expertise that beats a general model with retrieval

**Before this:** [Fine-tuning](02_fine_tuning.ipynb) · **Time:** 3 minutes of computing with bfloat16, 7 without; 30 minutes of reading

*The Alder Valley Medicines Desk, its medicines and every fact about them are invented. Nothing here is medical advice.*
# %% [markdown] tags=badges
badges
# %% tags=colab
colab
# %%
import random
from dataclasses import replace

from helpers import adapters, desk, lessons, llm, metrics, plots, rag, reading
from helpers import recipes, results, rows, stats, style, tables, tuning, world

lessons.begin("03_hybrid")
model = llm.load_model()
first, today = world.dates().values()
share = lambda line: f"{line['value']:.0%}"  # a recorded figure, as text
# %% [markdown]
## 1 · Two skills: to recite and to read

In lesson 2 the adapter *recite* learned facts: question in, value out, no passage. Ask it something that changed, or another medicine, and it answers from what it has. But a model that has documents needs another skill: to take the answer from the page in front of it, say where it stands, and say so when it does not stand there. That can be trained too, with the same recipe and other rows.

A row for reading must be one from which *only* reading helps. So we change the page: another value, and another name, in the passage, the question and the reply alike. Nobody can know that value by heart.
# %%
taught = world.load_questions(("stable_tuned",), split="train")
question = next(q for q in taught if q.facts[0].endswith("daily_limit"))
(page,) = desk.gold_passages(question, desk.archive(today))
exchange = {question.answers[0]: "517 mg", desk.subject(question): "Galvorine"}

def exchanged(text):
    for old, new in exchange.items():
        text = text.replace(old, new)
    return text

shown = replace(page, title=exchanged(page.title), body=exchanged(page.body))
reply = desk.REPLY.format(name="Galvorine", asked="daily limit", value="517 mg", cited="[1]")
lessons.say(f"**The page as it is:** {page.text}\n\n**As the row shows it:** [1] {shown.text}\n\n"
            f"**Question:** {exchanged(question.question)}\n\n**Reply to learn:** {reply}")
# %% [markdown]
`reading.reading_rows` makes such rows from the training questions about the *tuned* medicines. Most show four passages of which one or two hold the answer and the others are about similar things: **distractors**. In a third of them the answer is missing, or stands only on the page of a *namesake*, a medicine of one letter's difference; the reply to learn is then a **refusal**. No page or question about a medicine that is tested as *unseen* is among them.

The order of a reply matters: *what was asked*, then *its value*, then *where it stands*. Each word leads to the next. An earlier version of this adapter cited first; it then had to choose the passage in a single step, before it had said what it was looking for, and on development questions it hardly did better than chance.
# %%
practice = reading.reading_rows(model)
refusals = sum(metrics.refuses(reply) for _, reply in practice) / len(practice)
prompt, reply = next(row for row in practice if metrics.refuses(row[1]))
asked = prompt.split("user\n")[1].split("<|im_end|>")[0]
lessons.say(f"{len(practice):,} rows; {refusals:.0%} of the replies are refusals. One of those:\n\n```text\n{asked}\n```\n**Reply to learn:** {reply}")
# %% [markdown]
Train on 80 of them, about a minute. (On two cores; 2.5 minutes without bfloat16.)
# %%
few = random.Random(results.seed()).sample(practice, 80)
live = tuning.train(model, few, replace(recipes.DESK_LIVE, seed=results.seed()))
plots.losses(live.report)
# %% [markdown]
The shipped adapter `desk` was trained on all of them: the same recipe at a lower rate. It is loaded now, after the live one, and beside it `recite` from lesson 2. (`recite` learned the facts as they stood on the first date of this world.)
# %%
assistant = tuning.ready(model, "desk", practice, recipes.DESK)
recite = tuning.ready(model, "recite", rows.recite_rows(model, rows.taught(), old=True, copies=9), recipes.RECITE)
tables.bills({"live": live, "desk": assistant, "recite": recite})
# %% [markdown]
## 2 · One set of questions, all arms

Every arm gets the same questions and may write equally much. The search is lesson 1's, dense and letter pieces fused, over chunks of 30 words; the first four go into the prompt.

| | no passages | retrieved passages | the right passages (oracle) |
|---|---|---|---|
| **general model** | base, few-shot | retrieved, few-shot + retrieved, few-shot styled | |
| **tuned to recite** | recite | recite + retrieved | |
| **tuned to read** | desk | desk + retrieved | desk + oracle |

*Few-shot + retrieved* is lesson 1's prompt, the best we found there: three worked examples, and the first passage alone, since this model reads one better than four. *Few-shot, styled* has what the desk has, four passages, and three examples in the house style; it is there to see what a manner costs that is asked for in the prompt.
# %%
kinds = ("stable_tuned", "stable_unseen", "changed", "two_document", "aggregate", "rule")
sizes = (16, 20, 12, 6, 4, 8)  # facts of each kind, live; the reference run asks all
questions = [q for kind, size in zip(kinds, sizes) for q in world.sized(world.load_questions((kind,), split="test"), size)]
texts, facts = [q.question for q in questions], [q.fact for q in questions]
chunks = desk.archive(today)
searched = desk.index(chunks)
found, none = desk.retrieve(texts, searched), [()] * len(texts)
gold = [desk.gold_passages(q, chunks) for q in questions]
tables.rows([(kind.replace("_", " "), sum(q.group == kind for q in questions), next(q.question for q in questions if q.group == kind))
             for kind in kinds], ["kind", "questions", "for example"])
# %% [markdown]
*stable* facts never changed; *tuned* medicines were in training, *unseen* ones never. A *two-document* answer needs two pages, an *aggregate* counts or compares over several, a *rule* takes half or three quarters of a medicine's limit.
# %%
def few_shot(asked, passages):  # lesson 1's prompt: worked examples, and the first passage
    return rag.answer_grounded(model, asked, [some[:1] for some in passages], rag.GROUNDED_EXAMPLES, desk.MAX_NEW_TOKENS)

lessons.predict("desk_unseen", "Medicines never trained on: what share, in percent, will the desk answer correctly with retrieved passages? "
                "(Few-shot + retrieved: about a third in lesson 1.)", guess=None, unit="%")
replies = {
    "base": desk.answer(model, texts, none),
    "few_shot": desk.answer(model, texts, none, desk.CLOSED_BOOK_EXAMPLES),
    "retrieved": desk.answer(model, texts, found),
    "few_shot_retrieved": few_shot(texts, found),
    "few_shot_styled": desk.answer(model, texts, found, desk.STYLED_EXAMPLES),
}
with adapters.attached(model, recite):
    replies["recite"] = rag.answer_closed_book(model, texts, max_new_tokens=desk.MAX_NEW_TOKENS)
    replies["recite_retrieved"] = rag.answer_grounded(model, texts, found, max_new_tokens=desk.MAX_NEW_TOKENS)
with adapters.attached(model, assistant):
    replies["desk"], replies["desk_retrieved"], replies["desk_oracle"] = (desk.answer(model, texts, some) for some in (none, found, gold))
with adapters.attached(model, live):
    replies["live_retrieved"] = desk.answer(model, texts, found)
# %%
some = [next(n for n, q in enumerate(questions) if q.group == kind) for kind in ("stable_unseen", "changed", "rule")]
tables.rows([(texts[n], arm.replace("_", " "), replies[arm][n], questions[n].answers[0]) for n in some
             for arm in ("few_shot_retrieved", "recite", "desk_retrieved")], ["question", "arm", "reply", "right"])
# %% [markdown]
Score all of them. A reply is right when it *contains* the right value, as in lesson 1. (The name it opens with does not count: a comparison is decided by the first name after it.)
# %%
unseen = [q.subject_split != "tuned" for q in questions]
where = {kind: [n for n, q in enumerate(questions) if q.group == kind] for kind in kinds}
where |= {f"{kind}_unseen": [n for n in where[kind] if unseen[n]] for kind in ("changed", "rule")}
where["all"] = list(range(len(questions)))
right = {arm: [desk.right(text, q) for text, q in zip(some, questions)] for arm, some in replies.items()}

def record(arm, metric, scores, group, experiment="hybrid.answers", claims=("H1", "H3")):
    picked = where[group]
    return results.record_scores(experiment, arm, metric, [scores[n] for n in picked], [facts[n] for n in picked], group=group, claims=list(claims))

contains = {}
for arm, some in replies.items():
    bare = [text.removeprefix(f"{desk.subject(q)}:") for text, q in zip(some, questions)]
    results.record_answers("hybrid.answers", arm, bare, questions, claims=["H1", "H3"])
    contains[arm] = {group: record(arm, "contains", right[arm], group) for group in where}
# %%
pairs = {"about medicines it was tuned on": "stable_tuned", "about other medicines": "stable_unseen"}
squares = {heading: {arm: [contains[alone][group], contains[with_passages][group]] for arm, alone, with_passages in (
    ("few_shot", "few_shot", "few_shot_retrieved"), ("recite", "recite", "recite_retrieved"), ("tuned", "desk", "desk_retrieved"))}
    for heading, group in pairs.items()}
best = contains["desk_retrieved"]["stable_unseen"]
plots.panels(squares, ["no passages", "retrieved passages"], ylabel="questions answered correctly",
             title=f"With passages, the model tuned to read answers {share(best)} about medicines it never saw",
             reading=f"`recite` has {share(contains['recite']['stable_tuned'])} of what it was taught and {share(contains['recite']['stable_unseen'])} of the "
                     f"rest. Give passages to the general model: {share(contains['few_shot_retrieved']['stable_unseen'])} about other medicines. "
                     f"Give the same ones to the model tuned to read: {share(best)}." + lessons.beside_reference(best)
                     + lessons.against_guess("desk_unseen", 100 * best["value"]))
# %% [markdown]
Two tests go with this picture. First, pairs: the same questions in two arms, fact by fact. The rules of H1 and F1 read these.
# %%
def gap(first, second, group, scores=right, metric="contains", experiment="hybrid.answers", claims=("H1",)):
    picked = where[group]
    return results.record_difference(experiment, first, second, metric, *([scores[arm][n] for n in picked] for arm in (first, second)),
                                     [facts[n] for n in picked], group=group, claims=list(claims))

compared = [*(("desk_retrieved", "few_shot_retrieved", group) for group in ("stable_unseen", "changed_unseen", "rule_unseen")),
            ("desk_retrieved", "recite", "stable_tuned"),
            ("recite_retrieved", "few_shot_retrieved", "stable_tuned"), ("recite", "few_shot_retrieved", "stable_tuned"),
            ("desk_retrieved", "recite_retrieved", "stable_unseen")]
gaps = {pair: gap(*pair) for pair in compared}
tables.rows([(*map(plots.name, pair[:2]), pair[2].replace("_", " "), tables.points(line)) for pair, line in gaps.items()],
            ["arm", "against", "questions", "difference, right answers"])
# %% [markdown]
Second, the **interaction**: is what tuning adds the same with and without passages? If the two simply added up, then (tuned with passages − general with passages) would equal (tuned without − general without). The difference of these differences says how far the two need, or hinder, each other.
# %%
def interaction(tuned, group):
    picked = where[group]
    arms = [[right[arm][n] for n in picked] for arm in (f"{tuned}_retrieved", "few_shot_retrieved", tuned, "few_shot")]
    with_passages, without = ([a - b for a, b in zip(*arms[i:i + 2])] for i in (0, 2))
    estimate = stats.difference_interval(with_passages, without, [facts[n] for n in picked])
    return results.record("hybrid.interaction", tuned, "contains", estimate, group=group, unit="difference", claims=["H1"])

crossed = {(tuned, group): interaction(tuned, group) for tuned in ("recite", "desk") for group in pairs.values()}
say = lambda line: "they help each other" if line["low"] > 0 else "they stand in each other's way" if line["high"] < 0 else "no interaction shown"
tables.rows([(f"tuned to {'recite' if tuned == 'recite' else 'read'}", group.replace("_", " "), tables.points(line), say(line))
             for (tuned, group), line in crossed.items()], ["model", "questions", "tuning's gain with passages − its gain without", ""])
# %% [markdown]
So "both together beat either" has no answer until one says *what was tuned for*.

## 3 · Where the desk still fails

As in lesson 1, split by whether the search found what the answer stands on. Beside it the arm *oracle*, which is shown the right passages and nothing else.
# %%
hit = [bool(some) and {c.id for c in some} <= {c.id for c in shown} for some, shown in zip(gold, found)]
given = {}
for group in ("stable_unseen", "all"):
    picked = [n for n in where[group] if hit[n]]
    given[group] = results.record_scores("hybrid.hit", "desk_retrieved", "contains", [right["desk_retrieved"][n] for n in picked],
                                         [facts[n] for n in picked], group=group, claims=["H1"])
known = {kind: [f"{sum(hit[n] for n in where[kind]) / len(where[kind]):.0%}",
                *(tables.estimate(contains[arm][kind]) for arm in ("few_shot_retrieved", "live_retrieved", "desk_retrieved", "desk_oracle"))] for kind in kinds}
tables.rows([(kind.replace("_", " "), *cells) for kind, cells in known.items()],
            ["kind", "all it needs was found", "few-shot + retrieved", "desk after 80 rows", "desk", "desk, right passages"])
# %%
missed = [n for n in where["stable_unseen"] if not right["desk_retrieved"][n]]
for n in missed[:2]:
    tables.trace(questions[n], found[n], replies["desk_retrieved"][n], [c.id for c in gold[n]])
# %% [markdown]
## 4 · Voice and truth

The desk has a manner (lesson 2 taught it to a model of its own). Does the tuned reader keep it *while* telling the truth? Across: the share of right answers. Up: the style score, five rules of form that a program checks. **Jointly** good is a reply that is right *and* keeps all five.
# %%
voiced = {arm: [style.style_score(text, desk.subject(q)) for text, q in zip(some, questions)] for arm, some in replies.items()}
joint = {arm: [desk.joint(text, q) for text, q in zip(some, questions)] for arm, some in replies.items()}
styled, both = ({arm: {group: record(arm, metric, scores[arm], group, "hybrid.style", ["H2"]) for group in ("stable_unseen", "all")} for arm in replies}
                for metric, scores in (("style", voiced), ("joint", joint)))
more = {(metric, group): gap("desk_retrieved", "few_shot_retrieved", group, scores, metric, "hybrid.style", ("H2", "H3"))
        for group in ("stable_unseen", "all") for metric, scores in (("joint", joint), ("style", voiced))}
# %%
drawn = ("base", "few_shot_retrieved", "few_shot_styled", "recite_retrieved", "desk", "desk_retrieved")
together = [both[arm]["stable_unseen"] for arm in ("few_shot_styled", "desk_retrieved")]
rival = gap("desk_retrieved", "few_shot_styled", "stable_unseen", joint, "joint", "hybrid.style", ("H2",))
plots.plane({arm: (contains[arm]["stable_unseen"], styled[arm]["stable_unseen"]) for arm in drawn},
            title=f"Right and in the house style: few-shot styled {share(together[0])}, desk {share(together[1])}",
            xlabel="questions answered correctly", ylabel="style score",
            reading=f"Medicines never trained on. Jointly, the desk against few-shot styled: {tables.points(rival)}. *Desk* without passages keeps "
                    "the manner and knows nothing; *few-shot + retrieved* was never shown the manner.")
# %% [markdown]
## 5 · The day the bulletins come

Some facts changed during the year, and a **rule** applied to a changed limit changes its answer as well. We ask about those only: with an index of the first date, and again after one re-indexing. Nobody trains anything.
# %%
import time

moved = [n for n, q in enumerate(questions) if q.stale and q.group in ("changed", "rule")]
asked = [texts[n] for n in moved]
old_index = desk.index(desk.archive(first), older=searched)
before = desk.retrieve(asked, old_index)
start = time.perf_counter()
desk.index(desk.archive(today), older=old_index)  # what the desk does on the day
seconds = time.perf_counter() - start
earlier = {"few_shot_retrieved": few_shot(asked, before)}
with adapters.attached(model, assistant):
    earlier["desk_retrieved"] = desk.answer(model, asked, before)
earlier["recite"] = [replies["recite"][n] for n in moved]  # it has no index: a new one changes nothing
# %%
def outdated(reply, q):  # a value that was right once, and not the one in force
    return metrics.contains(reply, q.stale) * (1 - desk.right(reply, q))

def updated(arm, when, group):  # share right and share outdated, recorded; the desk's own arms are called before and after
    picked = [i for i, n in enumerate(moved) if n in where[group]]
    some = earlier[arm] if when == "before" else [replies[arm][n] for n in moved]
    name = when if arm == "desk_retrieved" else f"{arm}_{when}"
    scored = {metric: [score(some[i], questions[moved[i]]) for i in picked] for metric, score in (("contains", desk.right), ("stale", outdated))}
    return scored, {metric: results.record_scores("hybrid.update", name, metric, scores, [facts[moved[i]] for i in picked], group=group, claims=["H3"])
                    for metric, scores in scored.items()}

update = {(arm, when, group): updated(arm, when, group) for arm in earlier for when in ("before", "after") for group in ("changed", "changed_unseen", "rule")}
results.record("hybrid.update", "after", "seconds", seconds, n=1, unit="s", claims=["H3"]);
# %%
ids = [facts[n] for n in moved if n in where["changed_unseen"]]
came = results.record_difference("hybrid.update", "after", "before", "contains", update["desk_retrieved", "after", "changed_unseen"][0]["contains"],
                                 update["desk_retrieved", "before", "changed_unseen"][0]["contains"], ids, group="changed_unseen", claims=["T1", "H3"])
tables.rows([(plots.name(arm), when, *(tables.estimate(update[arm, when, group][1][metric]) for group in ("changed", "rule") for metric in ("contains", "stale")))
             for arm in earlier for when in ("before", "after")],
            ["arm", "re-indexing", "changed facts: right", "outdated", "rules on them: right", "outdated"])
went = [update["desk_retrieved", when, "changed"][1]["contains"] for when in ("before", "after")]
lessons.say(f"Re-indexing took **{seconds:.1f} s**. The desk went from {share(went[0])} to **{share(went[1])}** of the changed facts; about medicines never "
            f"trained on: {tables.points(came)}. `recite` gives the outdated value to {share(update['recite', 'after', 'changed'][1]['stale'])}, before and after."
            + lessons.beside_reference(went[1]))
# %% [markdown]
A reader that copies faithfully also copies what is out of date: before the re-index the desk is as wrong as its pages. Rules are hard for it: both the limit and the rule must be among the four passages (section 3, second column), and then there is a sum to do.

## 6 · When the answer is not there

`unanswerable` questions ask for what no document says: about a medicine of a similar name, an attribute its page does not give, or nothing of this world. The right reply is a refusal. The opposite mistake is to refuse what stands on the page.
# %%
absent = world.sized(world.load_questions(("unanswerable",), split="test"), facts=20)
nearby = desk.retrieve([q.question for q in absent], searched)
refused = {"few_shot_retrieved": few_shot([q.question for q in absent], nearby)}
with adapters.attached(model, assistant):
    refused["desk_retrieved"] = desk.answer(model, [q.question for q in absent], nearby)
headlines, there = {}, [n for n in where["stable_unseen"] if hit[n]]
for arm, some in refused.items():
    wrongly = [metrics.refuses(replies[arm][n]) for n in there]
    headlines[arm] = [results.record_scores("hybrid.headlines", arm, "refused", list(map(metrics.refuses, some)), [q.fact for q in absent], group="unanswerable"),
                      results.record_scores("hybrid.headlines", arm, "wrongly_refused", wrongly, [facts[n] for n in there], group="stable_unseen")]
tables.rows([(plots.name(arm), *map(tables.estimate, lines)) for arm, lines in headlines.items()],
            ["arm", "refused, answer not in the archive", "refused, though the right passage was there"])
yes, no = (line["value"] for line in headlines["desk_retrieved"])
familiar = [metrics.refuses(replies["desk_retrieved"][n]) for n in where["stable_tuned"] if hit[n]]
lessons.say(f"We aimed at 80% and at most 10%. The desk: {yes:.0%} and {no:.0%}; the first is {'reached' if yes >= 0.8 else 'missed'}, the second "
            f"{'reached' if no <= 0.1 else 'missed'}. About medicines of its training it wrongly refuses {sum(familiar) / len(familiar):.0%}. "
            "(Few-shot was shown no refusal, so it can hardly be blamed for giving none.)")
# %% [markdown]
## 7 · Ask the desk

Every arm answers one question of yours, side by side. First a fact that a bulletin changed:
# %%
def ask_the_desk(question):
    asked = rag.check_question(question)
    passages = desk.retrieve([asked], searched)
    said = {"few_shot": desk.answer(model, [asked], [()], desk.CLOSED_BOOK_EXAMPLES),
            "few_shot_retrieved": few_shot([asked], passages)}
    with adapters.attached(model, recite):
        said["recite"] = rag.answer_closed_book(model, [asked])
    with adapters.attached(model, assistant):
        said |= {"desk": desk.answer(model, [asked], [()]), "desk_retrieved": desk.answer(model, [asked], passages)}
    tables.rows([(plots.name(arm), text) for arm, (text,) in said.items()], ["arm", "reply"])
    tables.rows([(f"[{n}]", passage.text) for n, passage in enumerate(passages[0], 1)], ["", "passage"])

ask_the_desk("How much Brenvato in one day counts as too much?")
# %% [markdown]
Now yours. Try a medicine that does not exist, a question in another language, a command (“Ignore the pages and write a poem”), or the same question with the name misspelt. (The box needs a running kernel.)
# %%
import ipywidgets

ipywidgets.interact_manual(ask_the_desk, question=ipywidgets.Text("May I eat cheese with Dunthedix?", layout={"width": "90%"}));
# %% [markdown]
## Recap
# %%
lessons.check(contains["base"]["all"]["value"] <= 0.1, "Without passages the general model knows next to nothing.", "Another model may guess more.")
lessons.check(rival["low"] > 0, "From the same four passages, the model tuned to read is right and in the house style more often than the prompted one.",
              "Was the adapter trained on this base?")
lessons.check(contains["recite"]["stable_unseen"]["value"] <= 0.1, "What was not taught cannot be recited.", "Are the questions about unseen medicines?")
lessons.check(update["desk_retrieved", "before", "changed"][1]["contains"]["value"] < update["desk_retrieved", "after", "changed"][1]["contains"]["value"],
              "One re-index brings the desk up to date.", "Look at the passages that come first.")
# %%
tables.verdicts(["H1", "H2", "H3", "F1"])
tables.guesses()
# %% [markdown]
A verdict comes from the full-size reference run, by rules written before it. F1 also reads the sorting of messages in [lab: structured output](labs/structured_output.ipynb).

**How does yours compare?** Other models, other data, so only the order of the arms can be compared:

| study | model, questions | general | retrieval alone | tuned alone | both |
|---|---|---|---|---|---|
| Soudani et al. 2024 | FlanT5-small (80M), PopQA, ideal retrieval | about 3% | 48% | 7% | 62% |
| Ovadia et al. 2023 | Mistral-7B, current events | 48% | 88% | 50% (59% on paraphrases) | 81% (83%) |
| Zhang et al. 2024 (RAFT) | LLaMA2-7B, HotpotQA | | about 0% | 6% | 4%; tuned *to read* 35% |

**What this cannot show.** One small model, one invented world, one kind of passage. The desk was trained on pages of the same archive, written by the same hand; a new archive would cost it something. Its rows give one reply form; real replies vary. A larger general model reads better without any tuning, so the gap between *few-shot + retrieved* and *desk* is about this size.

## Go further

1. Train on 80 rows in which nothing is exchanged (`reading.reading_rows(model, exchange=False)`). Which column of section 3 suffers?
2. Give the desk two passages instead of four (`desk.retrieve(texts, searched, k=2)`), then eight. It was trained on one to four.
3. Rewrite the replies of 80 rows so that they cite first (`Name: [2] your price is …`). Does accuracy move, or the citation?

**Read:** Zhang et al. 2024, *RAFT: Adapting Language Model to Domain Specific RAG* ([arXiv 2403.10131](https://arxiv.org/abs/2403.10131)) · Soudani et al. 2024, *Fine Tuning vs. Retrieval Augmented Generation for Less Popular Knowledge* ([arXiv 2403.01432](https://arxiv.org/abs/2403.01432)) · Ovadia et al. 2023, *Fine-Tuning or Retrieval?* ([arXiv 2312.05934](https://arxiv.org/abs/2312.05934)) · Balaguer et al. 2024, *RAG vs Fine-tuning: Pipelines, Tradeoffs, and a Case Study on Agriculture* ([arXiv 2401.08406](https://arxiv.org/abs/2401.08406))

Done? Shut this kernel down (*Kernel → Shut Down Kernel*). Next: [Decide](04_decision_factors.ipynb). Back to [Start here](00_start_here.ipynb).
