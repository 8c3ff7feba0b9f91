"""Replies kept on disk during a reference run: the same prompt to the same weights is not written twice, by another seed, notebook or attempt."""

import hashlib
import json
import os
from pathlib import Path


class Kept(dict):
    """Prompt's SHA-256 → reply, of one model in one state; what `add` is given goes to the file at once. Without a file it keeps nothing."""

    def __init__(self, file=None):
        super().__init__()
        self.file = file
        if file and file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                try:
                    self.update([json.loads(line)])
                except ValueError:  # a line cut short when the run was ended: that reply is written again
                    continue

    def reply(self, prompt):
        """The kept reply, or None."""
        return self.get(_key(prompt))

    def add(self, replies):
        """Keep these: prompt → reply."""
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as lines:
                lines.writelines(f"\n{json.dumps([_key(prompt), reply])}" for prompt, reply in replies.items())


def of(state):
    """The replies kept for this state of a model, given as a text, in the folder $COURSE_REPLIES, which `helpers.reference` sets."""
    return Kept(Path(os.environ["COURSE_REPLIES"]) / f"{_key(state)[:16]}.jsonl")


def _key(text):
    return hashlib.sha256(text.encode()).hexdigest()
