"""What the bench makes of its figures (tests/bench/*.py): targets, the report, the chart."""

import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))

import chart  # noqa: E402
import outcome as outcomes  # noqa: E402
import report  # noqa: E402
from outcome import Outcome  # noqa: E402
from rows import Row  # noqa: E402


def rounds(**sides):
    """Of each side (rate, CPU time, p50) by round."""
    names = ("rate", "server_cpu_us", "p50_us")
    return Outcome({side: [dict(zip(names, values)) for values in results]
                    for side, results in sides.items()})


# In the second round the machine did something else; in each, Bellhop was ten times as good.
STEADY = rounds(Bellhop=[(100, 5, 20), (50, 6, 40), (80, 5, 25)],
                Dovecot=[(10, 50, 200), (5, 60, 400), (8, 50, 250)],
                bare=[(200, 1, 5), (100, 1, 9), (160, 1, 6)])
ALONE = rounds(Bellhop=[(100, 5, 20)])


@pytest.mark.parametrize("target, value, good", [
    (outcomes.times_the_rate(10), 10, True),
    (outcomes.times_the_rate(11), 10, False),
    (outcomes.times_less_cpu(10), 10, True),
    (outcomes.times_less_cpu(11), 10, False),
    (outcomes.times_sooner(10), 10, True),
    (outcomes.part_of("bare", 0.5), 50, True),
    (outcomes.part_of("bare", 0.6), 50, False),
    (outcomes.within(0.5, "bare"), 80, False),  # 50 % slower, and dearer still
    (outcomes.within(0.9, "bare"), 80, True),
    (outcomes.within(0.1, "Dovecot"), 0, True),
])
def test_a_target_compares_within_each_round(target, value, good):
    assert target.value(STEADY) == pytest.approx(value)
    assert target.reached(STEADY) is good


@pytest.mark.parametrize("target", [
    outcomes.times_the_rate(1), outcomes.times_less_cpu(1), outcomes.part_of("bare", 0.1),
    outcomes.within(1, "bare"), outcomes.memory_at_most(1000)])
def test_what_was_not_measured_is_not_reached(target):
    assert not target.reached(ALONE)


def test_the_report_says_what_was_reached_and_what_went_wrong():
    row = Row("RETR <fast>", "RETR", None,
              [outcomes.times_the_rate(10), outcomes.times_less_cpu(11)])
    broken = Row("LMTP", "LMTP", None, [outcomes.times_the_rate(1)])
    text = report.markdown([("machine", "fast")], [
        (row, STEADY), (broken, Outcome(trouble="expected 250"))], quick=False)
    assert "- machine: fast\n" in text
    assert "| RETR <fast> | 10 times Dovecot's rate | 10 times | yes |\n" in text
    assert "|  | 11 times less CPU than Dovecot | 10 times | **no** |\n" in text
    assert "| LMTP | 1 times Dovecot's rate | - | **no** |\n" in text
    assert "- LMTP: **expected 250**\n" in text
    assert "|  | Dovecot | 8 | 250 |  | 50 |  | 10 | 0.1 |\n" in text


def test_the_chart_has_a_bar_for_each_ratio():
    worse = rounds(Bellhop=[(5, 100, 0)], Dovecot=[(10, 50, 0)])
    drawn = xml.fromstring(chart.draw([(Row("one", "R & T", None), STEADY),
                                       (Row("two", "worse", None), worse),
                                       (Row("three", "alone", None), ALONE)]))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"R & T", "worse"} <= set(texts) and "alone" not in texts
    assert [text for text in texts if text in ("10", "0.5")] == ["10", "10", "10", "0.5", "0.5"]
