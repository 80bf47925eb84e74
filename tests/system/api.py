"""A client of the HTTP API, which checks each answer against the API's own document."""

import http.client
import json
import re
from dataclasses import dataclass

from jsonschema import Draft202012Validator, FormatChecker

UNKNOWN = "bh_" + "A" * 48


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    text: str

    @property
    def json(self):
        return json.loads(self.text)

    @property
    def code(self):
        """Of a problem."""
        return self.json["code"]

    @property
    def errors(self):
        """{pointer: code} of the members that are wrong."""
        return {error["pointer"]: error["code"] for error in self.json["errors"]}


def send(instance, method, path, body=None, headers=None):
    """One request over a connection of its own, as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", instance.ports.http, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


class Document:
    """What /api/v1/openapi.json says of the routes."""

    def __init__(self, instance):
        self.text = send(instance, "GET", "/api/v1/openapi.json").json
        self.operations = {}
        for path, methods in self.text["paths"].items():
            for method, operation in methods.items():
                self.operations[method.upper(), path] = operation

    def find(self, method, path):
        """(path with names, operation) of a request."""
        path = path.split("?")[0]
        for (known, pattern), operation in self.operations.items():
            if known == method and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), path):
                return operation
        return None

    def validate(self, schema, value):
        schema = {**schema, "components": self.text["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(value)

    def check(self, method, path, answer):
        """Fails when an answer is not as the document says."""
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            self.validate({"$ref": "#/components/schemas/Problem"}, answer.json)
            assert answer.json["status"] == answer.status
            return
        operation = self.find("GET" if method == "HEAD" else method, path)
        assert operation, f"{method} {path} is not in the document"
        said = operation["responses"].get(str(answer.status))
        assert said, f"{method} {path}: {answer.status} is not in the document"
        content = said.get("content")
        if not content or method == "HEAD" or "fields=" in path:
            return
        assert answer.headers["Content-Type"] in content
        if answer.headers["Content-Type"] != "application/json":
            return
        self.validate(content[answer.headers["Content-Type"]]["schema"], answer.json)


class Api:
    """Asks with one key."""

    def __init__(self, instance, key=None, document=None):
        self.instance = instance
        self.key = key
        self.document = document or Document(instance)

    def ask(self, method, path, body=None, **headers):
        """A body that is not bytes is sent as JSON; names of headers have _ for -."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key and "Authorization" not in fields:
            fields["Authorization"] = f"Bearer {self.key}"
        if body is not None and not isinstance(body, bytes):
            fields.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        answer = send(self.instance, method, "/api/v1" + path, body, fields)
        self.document.check(method, "/api/v1" + path, answer)
        return answer

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, **headers)

    def patch(self, path, body, **headers):
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)

    def all(self, path, limit=100):
        """All items of a list, page by page."""
        items = []
        separator = "&" if "?" in path else "?"
        path = f"{path}{separator}limit={limit}"
        while path:
            page = self.get(path)
            assert page.status == 200, page.text
            assert len(page.json["items"]) <= limit
            items += page.json["items"]
            path = page.json["next"] and page.json["next"].removeprefix("/api/v1")
        return items


def made_key(instance, name, *options):
    """A new key's text, made on the command line."""
    return json.loads(instance.cli("api-key", "add", name, "--json", *options).stdout)["key"]


def operator(instance):
    return Api(instance, made_key(instance, "operator"))
