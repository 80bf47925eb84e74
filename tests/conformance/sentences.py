"""The lists of what the RFCs ask: an id, how strongly, and the requirement in words of our own."""

import re
from dataclasses import dataclass
from pathlib import Path

# 5.4 must TEXT; 5.9 unseen TEXT -- why it cannot be seen from outside
LINE = re.compile(r"([0-9a-zA-Z.]+) (must|should|says|unseen) (.+)")


@dataclass
class Sentence:
    id: str
    strength: str  # must, should; says: plain words that bind all the same; unseen
    text: str
    reason: str = ""


def read_sentences(folder):
    """By id, in the order of files and lines."""
    found = {}
    for path in sorted(Path(folder).glob("*.txt")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = LINE.fullmatch(line)
            if not parts:
                raise ValueError(f"{path}:{number}: this is no sentence")
            text, _, reason = parts[3].partition(" -- ")
            sentence = Sentence(f"{path.stem}-{parts[1]}", parts[2], text, reason)
            if (sentence.strength == "unseen") != bool(reason):
                raise ValueError(f"{path}:{number}: a reason belongs to what is unseen, and only "
                                 "to that")
            if sentence.id in found:
                raise ValueError(f"{path}:{number}: {sentence.id} is there twice")
            found[sentence.id] = sentence
    return found


def coverage(sentences, tests):
    """What does not fit, one line each."""
    faults = []
    used = set()
    for test in tests:
        for name in test.sentences:
            used.add(name)
            if name not in sentences:
                faults.append(f"{test.name}: there is no sentence {name}")
            elif sentences[name].strength == "unseen":
                faults.append(f"{test.name}: {name} cannot be seen from outside, says its list")
    faults += [f"{sentence.id}: no file is about it: {sentence.text}"
               for sentence in sentences.values()
               if sentence.strength != "unseen" and sentence.id not in used]
    return faults
