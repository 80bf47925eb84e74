"""docs/limits.md says what the sources say."""

import re

import pytest

from bellhop import ROOT

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20}


def table():
    """Limit by name, of the rows that have both."""
    found = {}
    for line in (ROOT / "docs" / "limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`(\w+)`", cells[2]) if len(cells) == 5 else None
        if name:
            assert name[1] not in found
            found[name[1]] = cells[1]
    return found


def value(text):
    """"16 KiB", "30 s", "all but 1 in 4", "1000"."""
    if text.startswith("all but 1 in "):
        return int(text.rpartition(" ")[2])
    number, _, unit = text.partition(" ")
    return int(number) * UNITS.get(unit, 1)


def constants(path, prefix):
    expression = re.compile(rf"^#define ((?:{prefix})\w*) +([^/\n]+)", re.M)
    for name, text in expression.findall((ROOT / path).read_text()):
        text = re.sub(r"UINT64_C\((\d+)\)", r"\1", text).replace("HTTP_BODY_MAX", "(1 << 20)")
        yield name, eval(text)  # numbers and operators


def settings():
    rows = re.compile(r'\{"(pop3_(?:\w+_)?sessions|pop3_idle)", CONF_NUMBER, AT\(\w+\), "(\d+)"')
    for name, default in rows.findall((ROOT / "lib" / "conf.c").read_text()):
        yield name, int(default)


CONSTANTS = [*constants("pop3d/limits.h", "LIMIT_"), *constants("stored/session.c", "LOCK_"),
             *constants("lib/surrogate.h", "SURROGATE_FIELD_"),
             *constants("lib/certificates.h", "CERTIFICATES_PARSED_"), *constants("admin/http.h", "HTTP_"),
             *constants("admin/http.c", "CONNECTION"), *constants("admin/http.c", "[A-Z]+_TIME"),
             *constants("admin/upload.h", "UPLOAD_(?:MAX|PIECE|TIME)"), *constants("admin/body.h", r"BODY_[A-Z]+_MAX"),
             *constants("admin/framing.h", "FRAMING_"), *constants("admin/problem.c", "ERRORS_"),
             *constants("admin/page.h", "PAGE_(?:LIMIT|LOOKED|MATCH)_MAX"), *constants("admin/page.c", "FIELDS_"),
             *constants("admin/writer.c", r"CHANGES_|TOGETHER_"), *constants("admin/hasher.c", "HASHES_"),
             *constants("admin/api.c", "WRONG_BURST"),
             *constants("admin/tunnel.c", "TUNNEL|HANDSHAKE")]
SETTINGS = [*settings()]


@pytest.mark.parametrize("name, limit", CONSTANTS + SETTINGS)
def test_in_the_table_as_in_the_source(name, limit):
    assert value(table()[name]) == limit


def test_nothing_else_is_in_the_table():
    names = {name for name, _ in CONSTANTS + SETTINGS}
    assert len(CONSTANTS) > 20 and len(SETTINGS) == 3
    assert set(table()) == names
