"""
What the machine itself gives, measured in turns with the servers.

A limit is a class that is made with the Stage and used with `with`; measure() is one round and
returns what the generator would: rate, and p50_us, p99_us, server_cpu_us where there are such.
"""

import os
import subprocess

import generator
from generator import APPENDER, Result


class Limit:
    """One that needs nothing between its rounds."""

    def __init__(self, stage):
        self.stage = stage

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def measure(self) -> Result:
        raise NotImplementedError


class GroupCommit(Limit):
    """Connections whose messages a bare program appends to one file, one fdatasync for a group."""

    def __init__(self, stage, count, connections, size):
        super().__init__(stage)
        self.count, self.connections, self.size = count, connections, size
        self.server = None

    def __enter__(self):
        self.server = subprocess.Popen([APPENDER, "serve", self.stage.folder / "served"],
                                       stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())
        return self

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def measure(self):
        return generator.load("lmtp", self.port, self.stage.users("writers"), self.server.pid,
                              count=self.count, connections=self.connections, size=self.size)


class Appending(Limit):
    """The bare program on its own: "threads" that wait for their group, or one "alone"."""

    def __init__(self, stage, form, *numbers, environment=None):
        super().__init__(stage)
        self.command = [APPENDER, form, stage.folder / "bare", *numbers]
        self.environment = environment

    def measure(self):
        before = os.times()
        result = generator.run(self.command, self.environment)
        after = os.times()
        used = (after.children_user + after.children_system
                - before.children_user - before.children_system)
        return result | {"server_cpu_us": used * 1e6 / result["operations"]}
