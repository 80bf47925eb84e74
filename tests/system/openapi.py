"""The API's document, and whether answers are as it says: tests/openapi/validator.mjs knows."""

import atexit
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

VALIDATOR = Path(__file__).parents[1] / "openapi"


class Validator:
    """The process, for as long as the tests run."""

    def __init__(self):
        assert shutil.which("node") and (VALIDATOR / "node_modules" / "installed").exists(), "run make deps first"
        self.process = subprocess.Popen(["node", VALIDATOR / "validator.mjs"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, encoding="utf-8")
        atexit.register(self.close)
        self.lock = threading.Lock()  # some tests ask from threads

    def ask(self, asked):
        """What is wrong, a list of sentences."""
        with self.lock:
            self.process.stdin.write(json.dumps(asked) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        assert line, f"validator.mjs has ended with {self.process.wait()}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


class Document:
    """What /api/v1/openapi.json says of the routes."""

    def __init__(self, text):
        self.text = json.loads(text)
        self.validator = Validator()
        self.validator.ask({"document": self.text})
        self.operations = {}
        for path, methods in self.text["paths"].items():
            for method, operation in methods.items():
                self.operations[method.upper(), path] = operation
        self.patterns = [(method, path, re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))))
                         for method, path in self.operations]

    def name(self, method, path):
        """The path as the document names it, or None."""
        path = path.split("?")[0]
        for known, name, pattern in self.patterns:
            if known == method and pattern.fullmatch(path):
                return name
        return None

    def find(self, method, path):
        """The operation of a request, or None."""
        return self.operations.get((method, self.name(method, path)))

    def check_value(self, schema, value):
        """Fails when it is not as this schema of the document says."""
        wrong = self.validator.ask({"schema": schema, "value": value})
        assert not wrong, f"{wrong}\n{value}"

    def check(self, method, path, status, headers, text):
        """Fails when an answer is not as the document says."""
        head = method == "HEAD"
        known = "GET" if head else method
        wrong = self.validator.ask({
            "method": known, "path": self.name(known, path), "status": status,
            "headers": {name.lower(): value for name, value in headers.items()},
            "body": None if head else text, "partial": "fields=" in path})
        assert not wrong, f"{method} {path}: {wrong}\n{status} {headers}\n{text[:2000]}"
        if status >= 400 and not head and "problem" in headers["Content-Type"]:
            assert json.loads(text)["status"] == status
