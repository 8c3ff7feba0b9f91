"""What each way of answering uses up in this world, in tokens: counted with the tokenizer, or taken from records and trainings' reports."""

import functools
import json

from helpers import adapters, costs, desk, llm, rag, retrieval, rows, weights, world

ARMS = {"rag": "few_shot_retrieved", "finetune": "recite", "hybrid": "desk_retrieved"}  # the arms that lesson 3 measures


@functools.cache
def reader():
    """A language model without its weights: enough to write prompts and to count tokens."""
    from transformers import AutoTokenizer

    with weights.quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(weights.language_model_folder(), local_files_only=True)
    return llm.LanguageModel(None, tokenizer, weights.model_name(), "none")


def count(texts):
    """Tokens in all of these texts together."""
    return sum(map(len, reader().tokenizer(list(texts), add_special_tokens=False)["input_ids"]))


def report(name):
    """The report of a shipped adapter's training (tokens, seconds …); None where it does not ship."""
    path = adapters.SHIPPED / name / "report.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def approaches(measured):
    """(name → costs.Approach, where the prompts' lengths come from: "run", "reference" or "counted").

    prompt: few-shot, nothing looked up. rag: lesson 1's prompt, few-shot with the best passage (desk.few_shot). finetune: the adapter recite, closed book.
    hybrid: the adapter desk with four passages; left out while it does not ship. rag_long: few-shot with the same four; rag_bare: one passage, no
    examples. A reply is as long in all of them, as the desk's worked examples are.
    An update takes in all that changed in the world's year. Retrieval embeds the new chunks; fine-tuning trains as the run that the lab
    updating_weights chose at full size (where none is recorded: on the changed facts in five wordings and as many rows of others, twice over). Passages are searched
    by letters alone: their lengths are the same.
    """
    questions = world.one_per_fact(world.load_questions(("stable_tuned", "stable_unseen", "changed"), split="test"))
    asked, chunks = [q.question for q in questions], desk.archive(world.dates()["second"])
    older = {chunk.text for chunk in desk.archive(world.dates()["first"])}
    found = desk.retrieve(asked, retrieval.KeywordIndex(chunks, retrieval.letter_pieces))
    model, mean = reader(), lambda texts: count(texts) / len(asked)
    tokens = {
        "prompt": mean(desk.prompt(model, q, (), desk.CLOSED_BOOK_EXAMPLES) for q in asked),
        "rag": mean(rag.grounded_prompt(model, q, some[:1], rag.GROUNDED_EXAMPLES) for q, some in zip(asked, found)),
        "rag_bare": mean(rag.grounded_prompt(model, q, some[:1]) for q, some in zip(asked, found)),
        "rag_long": mean(desk.prompt(model, q, some, desk.STYLED_EXAMPLES) for q, some in zip(asked, found)),
        "finetune": mean(rag.closed_book_prompt(model, q) for q in asked),
        "hybrid": mean(desk.prompt(model, q, some) for q, some in zip(asked, found)),
    }
    names = {way: f"hybrid.latency {arm} all prompt_tokens" for way, arm in ARMS.items()}
    recorded = measured.together(*names.values())
    tokens |= {way: recorded[name]["value"] for way, name in names.items() if recorded}
    reply = 1 + count(said for _, said in desk.STYLED_EXAMPLES) / len(desk.STYLED_EXAMPLES)  # and the token that ends it
    changed = rows.recite_rows(model, [q for q in rows.taught() if q.group == "changed"])
    ran = measured.find("tune.update retrain all tokens", "reference")
    update = ran["value"] if ran else 2 * 2 * (count(text for pair in changed for text in pair) + len(changed))
    archive = {"searched": mean(asked), "embedded": count(c.text for c in chunks), "update_embedded": count(c.text for c in chunks if c.text not in older)}
    tuned = {name: report(name)["tokens"] for name in ("recite", "desk") if report(name)}
    made = {"prompt": costs.Approach("prompt alone", tokens["prompt"], reply), "rag": costs.Approach("RAG", tokens["rag"], reply, **archive),
            "rag_bare": costs.Approach("RAG without examples", tokens["rag_bare"], reply, **archive),
            "rag_long": costs.Approach("RAG with four passages", tokens["rag_long"], reply, **archive),
            "finetune": costs.Approach("fine-tuning", tokens["finetune"], reply, True, trained=tuned["recite"], update_trained=update)}
    if "desk" in tuned:
        made["hybrid"] = costs.Approach("hybrid", tokens["hybrid"], reply, True, **archive, trained=tuned["desk"])
    return made, next((line["source"] for line in recorded.values()), "counted")
