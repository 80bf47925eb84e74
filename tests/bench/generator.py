"""Runs the programs that make load (BUILD/bench) and takes their figures."""

import os
import re
import subprocess
from contextlib import contextmanager

from bellhop import BIN

BUILD = BIN.parent
LOAD = BUILD / "bench" / "load"
APPENDER = BUILD / "bench" / "appender"
SENDER = BUILD / "bench" / "sender"
SECONDS = 60   # a run ends after this time, whatever has been done
GRACE = 120    # and this much later at the latest

Result = dict[str, float]  # operations, rate, p50_us, p99_us, server_cpu_us, ...


class Broken(Exception):
    """A wrong answer, or a program that ended: no figure, but the end of a row."""


def take_figures(text) -> Result:
    found = {}
    for name, value in re.findall(r"(\w+)=(\S+)", text.splitlines()[-1] if text else ""):
        try:
            found[name] = float(value)
        except ValueError:
            pass  # the name of a mode
    if "rate" not in found:
        raise Broken(f"no figures in {text!r}")
    return found


def run(command, environment=None) -> Result:
    """A program of ours that prints figures in its last line."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True,
                              env=os.environ | (environment or {}), timeout=SECONDS + GRACE)
    except subprocess.TimeoutExpired as error:
        raise Broken(f"{' '.join(command)} does not end") from error
    if done.returncode != 0:
        raise Broken(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    return take_figures(done.stdout)


def command_of(mode, port, users, serve_pid, **options):
    """options: those of load --help, with True for one that takes no value."""
    options = {"seconds": SECONDS} | options
    command = [LOAD, mode, "--port", port, "--users", users, "--serve-pid", serve_pid]
    for name, value in options.items():
        if value is not False:
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    return [str(word) for word in command]


def load(mode, port, users, serve_pid, **options) -> Result:
    return run(command_of(mode, port, users, serve_pid, **options))


@contextmanager
def held(port, users, serve_pid, mode="idle", **options):
    """
    Clients that stay, within; with the mode idle each must answer at the end. Gives the process,
    and as its attribute `figures` what it has printed, when it has ended.
    """
    command = command_of(mode, port, users, serve_pid, **options)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        try:
            if "sessions are held" not in process.stdout.readline():
                raise Broken(f"{' '.join(command)}: {process.stderr.read()[-500:]}")
            yield process
            process.stdin.close()
            process.stdin = None
            output, errors = process.communicate(timeout=GRACE)
            if process.returncode != 0:
                raise Broken(f"{' '.join(command)}: {errors[-500:]}")
            process.figures = take_figures(output)
        finally:
            process.kill()
