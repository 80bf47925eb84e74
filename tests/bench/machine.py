"""What the figures were measured on."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

import dovecot
import generator
from bellhop import ROOT
from generator import APPENDER

SYNCS = 200


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def processor():
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()


def sync_us(folder):
    """Of 8 KiB that are appended."""
    result = generator.run([APPENDER, "alone", folder / "bare", SYNCS, 8192])
    return 1e6 / result["rate"]


def load():
    """What else the machine does, or has to do."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def when(seconds):
    return f"{datetime.date.today()}, in {seconds / 60:.1f} minutes; load at the end {load()}"


def describe(folder):
    """(what, value) in the report's order."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    commit = output_of("git", "describe", "--always", "--dirty")
    return [
        ("machine", f"{os.cpu_count()} cores ({processor()}), {memory / 2**30:.0f} GiB, shared by "
                    f"servers and clients; load before the first row {load()}"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("disk", f"{output_of('stat', '-f', '-c', '%T', folder)}; 8 KiB appended and synced in "
                 f"{sync_us(folder):.0f} us"),
        ("Bellhop", f"{commit}, as `bellhop init` makes it, but with passwords that are quick to "
                    "check where the row is not about them; pop3d in "
                    f"{os.cpu_count()} processes"),
        ("Dovecot", f"{dovecot.version()}: {dovecot.settings()}"),
        ("both", "the same mail, the same clients, the same Argon2id strings, the same ECDSA P-256 "
                 f"certificate, {output_of('openssl', 'version')}"),
    ]
