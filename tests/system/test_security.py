"""docs/SECURITY.md: each test that it names is there, and each of the ten has some."""

import re

import pytest

from bellhop import ROOT

TEXT = (ROOT / "docs" / "SECURITY.md").read_text()
PARTS = {part.partition(":")[0]: part for part in re.split(r"(?m)^### ", TEXT)[1:]}


def functions(path):
    return set(re.findall(r"(?m)^def (test_\w+)\(", path.read_text()))


@pytest.mark.parametrize("file, name", sorted(set(re.findall(r"`(test_\w+\.py)::(\w+)`", TEXT))))
def test_system_tests_exist(file, name):
    assert name in functions(ROOT / "tests" / "system" / file)


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(test_\w+\.c)`", TEXT))))
def test_unit_tests_exist(file):
    assert (ROOT / "tests" / "unit" / file).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\b((?:admin|authd|lib)/\w+\.[ch])\b", TEXT))))
def test_sources_exist(path):
    assert (ROOT / path).exists()


def test_fuzz_targets_exist():
    named = re.findall(r"`(\w+)`", TEXT[TEXT.index("## Made-up input"):])
    assert len(named) > 5
    for name in named:
        assert (ROOT / "tests" / "fuzz" / f"{name}.c").exists(), name


def test_each_of_the_ten_is_walked_through():
    assert list(PARTS) == [f"API{number}" for number in range(1, 11)]
    for name, part in PARTS.items():
        assert "*Here*: " in part and len(re.findall(r"`test_", part)) >= 3, name
