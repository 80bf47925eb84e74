"""What a row's rounds gave, and what it must give."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from generator import Result

RATE, P50, P99, CPU = "rate", "p50_us", "p99_us", "server_cpu_us"
MEMORY = "memory_kib"  # for each session


@dataclass
class Outcome:
    rounds: dict[str, list[Result]] = field(default_factory=dict)  # by side
    trouble: str = ""

    def median(self, side, figure):
        """None: this side does not have it."""
        found = [result[figure] for result in self.rounds.get(side, []) if figure in result]
        return statistics.median(found) if found else None

    def ratio(self, figure, side, other):
        """The median of the rounds' ratios: what was measured side by side compares."""
        found = [one[figure] / two[figure]
                 for one, two in zip(self.rounds.get(side, []), self.rounds.get(other, []))
                 if figure in one and two.get(figure)]
        return statistics.median(found) if found else None


@dataclass
class Target:
    must: str  # as people say it
    value: Callable[[Outcome], float | None]
    bound: float
    least: bool = True  # or at most
    unit: str = ""

    def reached(self, outcome):
        value = self.value(outcome)
        return value is not None and (value >= self.bound if self.least else value <= self.bound)

    def tell(self, outcome):
        value = self.value(outcome)
        return "-" if value is None else f"{value:.3g}{self.unit}"


def times_the_rate(times):
    return Target(f"{times:g} times Dovecot's rate", lambda o: o.ratio(RATE, "Bellhop", "Dovecot"),
                  times, unit=" times")


def times_less_cpu(times):
    return Target(f"{times:g} times less CPU than Dovecot",
                  lambda o: o.ratio(CPU, "Dovecot", "Bellhop"), times, unit=" times")


def cpu_at_most(microseconds):
    return Target(f"{microseconds:g} us of CPU", lambda o: o.median("Bellhop", CPU), microseconds,
                  least=False, unit=" us")


def times_sooner(times):
    return Target(f"{times:g} times sooner than Dovecot",
                  lambda o: o.ratio(P50, "Dovecot", "Bellhop"), times, unit=" times")


def part_of(limit, part):
    return Target(f"{100 * part:g} % of the rate of: {limit}",
                  lambda o: 100 * (o.ratio(RATE, "Bellhop", limit) or 0), 100 * part, unit=" %")


def memory_at_most(kib):
    return Target(f"{kib:g} KiB for a session", lambda o: o.median("Bellhop", MEMORY), kib,
                  least=False, unit=" KiB")


def within(part, other):
    """Neither slower nor dearer than the other by more than this."""
    def worst(outcome):
        ratios = [outcome.ratio(RATE, "Bellhop", other), outcome.ratio(CPU, other, "Bellhop")]
        return None if None in ratios else 100 * max(0, 1 - min(ratios))
    return Target(f"within {100 * part:g} % of: {other}", worst, 100 * part, least=False,
                  unit=" % worse")
