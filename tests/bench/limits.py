"""
What the machine itself gives, measured in turns with the servers.

A limit is a class that is made with the Stage and used with `with`; measure() is one round and
returns what the generator would: rate, and p50_us, p99_us, server_cpu_us where there are such.
"""

import ctypes
import ctypes.util
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import generator
from generator import APPENDER, SENDER, Result


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


class Serving(Limit):
    """A bare program that prints its port and serves the generator."""

    def __init__(self, stage, command, mode, group, **options):
        super().__init__(stage)
        self.command = [str(word) for word in command]
        self.mode, self.group, self.options = mode, group, options

    def __enter__(self):
        self.server = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.server.stdout.readline())
        return self

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()
        self.server.stdout.close()

    def measure(self):
        return generator.load(self.mode, self.port, self.stage.users(self.group), self.server.pid,
                              **self.options)


class GroupCommit(Serving):
    """Connections whose messages are appended to one file, with one fdatasync for a group."""

    def __init__(self, stage, **options):
        super().__init__(stage, [APPENDER, "serve", stage.folder / "served"], "lmtp", "writers",
                         **options)


class Sending(Serving):
    """The octets of messages by sendfile from one file."""

    def __init__(self, stage, messages, size, **options):
        super().__init__(stage, [SENDER, stage.folder / "sent", messages, size], "retr", "readers",
                         **options)


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
        used = sum(after[2:4]) - sum(before[2:4])  # of children
        return result | {"server_cpu_us": used * 1e6 / result["operations"]}


class Handshakes(Limit):
    """
    The generator's handshakes with openssl s_server, which serves one connection at a time: so one
    for each core, each with its part of the clients.
    """

    def __init__(self, stage, count, connections):
        super().__init__(stage)
        self.count, self.connections = count // os.cpu_count(), connections // os.cpu_count()
        self.servers = []

    def __enter__(self):
        tls = self.stage.bellhop.instance.dir / "tls"
        for _ in range(os.cpu_count()):
            self.servers.append(subprocess.Popen(
                ["openssl", "s_server", "-rev", "-accept", "127.0.0.1:0", "-cert", tls / "cert.pem",
                 "-key", tls / "key.pem"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True))
        self.ports = [self._port_of(server) for server in self.servers]
        self.drains = ThreadPoolExecutor(len(self.servers))
        for server in self.servers:  # it tells of every connection, and must not wait for a reader
            self.drains.submit(server.stdout.read)
        return self

    @staticmethod
    def _port_of(server):
        for line in server.stdout:
            if line.startswith("ACCEPT"):
                return int(line.rpartition(":")[2])
        raise generator.Broken("openssl s_server does not listen")

    def __exit__(self, *_):
        for server in self.servers:
            server.kill()
            server.wait()
        self.drains.shutdown()

    def _measure_one(self, server, port):
        certificate = self.stage.bellhop.instance.dir / "tls" / "cert.pem"
        return generator.load("handshake", port, self.stage.users("readers"), server.pid, tls=True,
                              ca=certificate, count=self.count, connections=self.connections)

    def measure(self):
        with ThreadPoolExecutor(len(self.servers)) as threads:
            results = list(threads.map(self._measure_one, self.servers, self.ports))
        seconds = max(result["seconds"] for result in results)
        cpu = sum(result["server_cpu_us"] for result in results) / len(results)
        return {"rate": self.count * len(results) / seconds, "server_cpu_us": cpu}


class Hashing(Limit):
    """
    libsodium alone, which checks the passwords of a group in as many threads as cores, of the
    priority that authd's have: what else the machine does takes as much from both.
    """

    NICENESS = 5  # of authd/hashpool.c

    def __init__(self, stage, group):
        super().__init__(stage)
        hashes = dict(stage.hashes())
        self.checks = [(hashes[address].encode(), password.encode())
                       for address, password in stage.accounts[group]]
        self.sodium = ctypes.CDLL(ctypes.util.find_library("sodium"))
        self.sodium.sodium_init()  # chooses what is fastest on this processor

    def _step_back(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self.NICENESS)

    def _check(self, check):
        digest, password = check
        if self.sodium.crypto_pwhash_str_verify(digest, password,
                                                ctypes.c_ulonglong(len(password))) != 0:
            raise generator.Broken("a password does not fit its hash")

    def measure(self):
        before, began = os.times(), time.monotonic()
        with ThreadPoolExecutor(os.cpu_count(), initializer=self._step_back) as threads:
            list(threads.map(self._check, self.checks))
        after, took = os.times(), time.monotonic() - began
        used = sum(after[:2]) - sum(before[:2])
        return {"rate": len(self.checks) / took, "server_cpu_us": used * 1e6 / len(self.checks)}
