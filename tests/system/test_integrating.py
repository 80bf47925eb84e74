"""docs/integrating.md: every command of the page, one after the other, with what its answer holds."""

import os
import re
import subprocess

from bellhop import BIN, ROOT

PAGE = ROOT / "docs" / "integrating.md"


def steps():
    """(commands, what the answer holds) in the order of the page."""
    lines = []
    for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE.read_text()):
        for line in block.splitlines():
            if line.startswith("# -> "):
                yield "\n".join(lines), line.removeprefix("# -> ")
                lines = []
            else:
                lines.append(line)
    assert not lines, "the page ends with a command whose answer it does not tell"


def test_every_command_of_the_page(instance, tmp_path):
    told = list(steps())
    assert len(told) > 15
    # One shell for all, as the page sets variables; a mark behind each answer.
    script = "\n".join(f"{commands}\nprintf '\\n--- %s\\n' {number}" for number, (commands, _) in enumerate(told))
    done = subprocess.run(
        ["sh", "-eu"], input=script, text=True, capture_output=True, timeout=100, cwd=tmp_path,
        env={"PATH": f"{BIN}:{os.environ['PATH']}", "DIR": str(instance.dir), "LC_ALL": "C.UTF-8",
             "API": f"http://127.0.0.1:{instance.ports.http}"})
    answers = re.split(r"\n--- \d+\n", done.stdout)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for (commands, wanted), answer in zip(told, answers):
        if answer.strip() == "":  # it went to a file
            answer = (tmp_path / re.findall(r">(\w+)", commands)[-1]).read_text()
        assert wanted in answer, f"{commands}\n{answer}"
