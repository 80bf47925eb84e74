"""A client of the HTTP API, which checks each answer against the API's own document."""

import http.client
import json
from dataclasses import dataclass

from openapi import Document

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


def exchange(instance, method, path, body, headers):
    connection = http.client.HTTPConnection("127.0.0.1", instance.ports.http, timeout=30)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())
    finally:
        connection.close()


documents = []  # that of the programs, when one was asked for it


def document_of(instance):
    """It is made of tables, so every instance says the same."""
    if not documents:
        documents.append(Document(exchange(instance, "GET", "/api/v1/openapi.json", None, {}).text))
    return documents[0]


def send(instance, method, path, body=None, headers=None):
    """One request over a connection of its own, as it is."""
    answer = exchange(instance, method, path, body, headers or {})
    document_of(instance).check(method, path, answer.status, answer.headers, answer.text)
    return answer


class Api:
    """Asks with one key."""

    def __init__(self, instance, key=None):
        self.instance = instance
        self.key = key

    @property
    def document(self):
        return document_of(self.instance)

    def ask(self, method, path, body=None, **headers):
        """A body that is not bytes is sent as JSON; names of headers have _ for -."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key and "Authorization" not in fields:
            fields["Authorization"] = f"Bearer {self.key}"
        if body is not None and not isinstance(body, bytes):
            fields.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        return send(self.instance, method, "/api/v1" + path, body, fields)

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
