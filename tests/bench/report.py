"""The report, for people."""

from outcome import CPU, MEMORY, P50, P99, RATE

HOW_TO_READ = """
## How to read it

- Everything ran on this one machine, the clients as well. So rates say what is left for a server
  beside its clients; CPU time does not depend on them: it is that of all processes of the server,
  from /proc, for one operation.
- Servers and limits took turns, in an order that was reversed from round to round. Figures are
  medians over five rounds (three where each begins with a start), ratios the medians of the ratios
  in one round. A machine that does other things too changes the figures more than the ratios.
- Every reply was checked: sizes of messages against LIST, the number of messages, status lines. A
  wrong one ends the row.
- A limit is what a bare program reaches that does only the part that cannot be left out: for
  deliveries, to append messages to one file and to sync it, once for all that wait.
- Each row is told in docs/performance.md: what limits it now, and what the next step would take.
"""


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(value):
    return "" if value is None else f"{value:.3g}"


def figures_line(outcome, side):
    """In a terminal."""
    words = [("rate", RATE, "/s"), ("p50", P50, " us"), ("p99", P99, " us"), ("CPU", CPU, " us"),
             ("memory", MEMORY, " KiB")]
    return ", ".join(f"{word} {number(outcome.median(side, figure))}{unit}"
                     for word, figure, unit in words if outcome.median(side, figure) is not None)


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"


def target_lines(outcomes):
    for row, outcome in outcomes:
        title = row.title
        for target in row.targets:
            yield [title, target.must, target.tell(outcome),
                   "yes" if target.reached(outcome) else "**no**"]
            title = ""


def figure_lines(outcomes):
    for row, outcome in outcomes:
        title = row.title
        for side in outcome.rounds:
            rate = cpu = None
            if side != "Bellhop":
                rate = outcome.ratio(RATE, "Bellhop", side)
                cpu = outcome.ratio(CPU, "Bellhop", side)
            yield [title, side, *(number(outcome.median(side, figure))
                                  for figure in (RATE, P50, P99, CPU, MEMORY)),
                   times(rate), times(cpu)]
            title = ""


def remarks(outcomes):
    for row, outcome in outcomes:
        for remark in filter(None, [row.note, outcome.trouble and f"**{outcome.trouble}**"]):
            yield f"- {row.title}: {remark}"


def markdown(about, outcomes, quick):
    lines = ["# Bellhop beside Dovecot and beside the machine's limits", ""]
    if quick:
        lines += ["**A quick run: it shows that everything works, and its figures mean nothing.**",
                  ""]
    lines += [f"- {what}: {value}" for what, value in about]
    lines += ["", "![ratios to Dovecot](report.svg)", "", "## Targets", ""]
    lines += table(["operation", "must", "reached", ""], target_lines(outcomes))
    lines += ["", "## Figures", ""]
    lines += table(["operation", "", "operations/s", "p50 us", "p99 us", "CPU us", "KiB/session",
                    "Bellhop's rate to it", "Bellhop's CPU to it"], figure_lines(outcomes))
    lines += ["", *remarks(outcomes), HOW_TO_READ]
    return "\n".join(lines)
