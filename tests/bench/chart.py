"""The chart of ratios to Dovecot: bars on a logarithmic axis, as SVG."""

import math
from html import escape

from outcome import CPU, MEMORY, P50, RATE

WIDTH, LEFT, RIGHT = 790, 260, 60
TOP, BAR, GAP = 64, 12, 12

# The class of each figure's bars.
BARS = {RATE: "rate", CPU: "cost", P50: "other", MEMORY: "other"}
LEGEND = [("rate", "times Dovecot's rate"), ("cost", "times less CPU time"),
          ("other", "times sooner, or less memory")]

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.small { font-size: 11px; fill: #57606a }
.grid { stroke: #d0d7de } .one { stroke: #57606a }
.rate { fill: #0969da } .cost { fill: #1a7f37 } .other { fill: #8250df }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  .grid { stroke: #3d444d } .one { stroke: #9198a1 }
  .rate { fill: #4493f8 } .cost { fill: #3fb950 } .other { fill: #ab7df8 }
}
"""


def bars_of(row, outcome):
    """(class, ratio) of a row, in the direction in which more is better."""
    for figure in row.figures:
        sides = ("Bellhop", "Dovecot") if figure == RATE else ("Dovecot", "Bellhop")
        if ratio := outcome.ratio(figure, *sides):
            yield BARS[figure], ratio


def axis(lowest, highest):
    """Powers of ten around all ratios, and 1 among them; what is hardly below 1 asks for no more."""
    return math.floor(math.log10(min(lowest, 1)) + 0.1), math.ceil(math.log10(max(highest, 10)))


def draw(outcomes):
    rows = [(row.short, bars) for row, outcome in outcomes
            if (bars := list(bars_of(row, outcome)))]
    ratios = [ratio for _, bars in rows for _, ratio in bars] or [1]
    low, high = axis(min(ratios), max(ratios))
    height = TOP + sum(len(bars) * BAR + GAP for _, bars in rows) + 10

    def x(ratio):
        return LEFT + (math.log10(ratio) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
             "<title>Bellhop beside Dovecot</title>", f"<style>{STYLE}</style>"]
    parts += legend() + grid(x, low, high, height)
    y = TOP
    for title, bars in rows:
        parts.append(f'<text x="{LEFT - 10}" y="{y + len(bars) * BAR / 2 + 4.5}"'
                     f' text-anchor="end">{escape(title)}</text>')
        for name, ratio in bars:
            parts += bar(x, y, name, ratio)
            y += BAR
        y += GAP
    return "\n".join([*parts, "</svg>\n"])


def legend():
    parts, left = [], 10
    for name, text in LEGEND:
        parts += [f'<rect class="{name}" x="{left}" y="12" width="11" height="11"/>',
                  f'<text x="{left + 17}" y="22">{text}</text>']
        left += 40 + 7 * len(text)
    return parts


def grid(x, low, high, height):
    parts = []
    for power in range(low, high + 1):
        at = f"{x(10 ** power):.1f}"
        kind = "one" if power == 0 else "grid"
        parts += [f'<line class="{kind}" x1="{at}" x2="{at}" y1="{TOP - 8}" y2="{height - 8}"/>',
                  f'<text class="small" x="{at}" y="{TOP - 14}" text-anchor="middle">'
                  f'{10 ** power:g}</text>']
    return parts


def bar(x, y, name, ratio):
    start, end = sorted((x(1), x(ratio)))
    return [f'<rect class="{name}" x="{start:.1f}" y="{y}" width="{end - start:.1f}"'
            f' height="{BAR - 2}"/>',
            f'<text class="small" x="{end + 5:.1f}" y="{y + BAR - 3}">{ratio:.3g}</text>']
