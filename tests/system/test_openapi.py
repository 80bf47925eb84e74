"""The API's document is OpenAPI 3.1, and an answer that is not as it says is found."""

import copy
import json

import pytest

from api import operator

JSON = {"Content-Type": "application/json", "X-Request-Id": "a"}
TAG = {**JSON, "ETag": f'"{"0" * 32}"'}
PROBLEM = {"Content-Type": "application/problem+json", "X-Request-Id": "a"}
PLAN = "/api/v1/plans/house"


@pytest.fixture(scope="module")
def api(shared):
    return operator(shared)


@pytest.fixture(scope="module")
def document(api):
    return api.document


def wrong(document, text):
    return " ".join(document.validator.ask({"openapi": text}))


def test_the_document_is_openapi(document):
    """And each of its schemas can be used, with nothing in it that a validator does not know."""
    assert document.text["openapi"].startswith("3.1.")
    assert wrong(document, document.text) == ""


def changed(document, change):
    """A copy of the document; `change` takes its plan, its operation of PLAN and the whole."""
    text = copy.deepcopy(document.text)
    change(text["components"]["schemas"]["Plan"], text["paths"]["/api/v1/plans/{plan}"]["get"], text)
    return text


@pytest.mark.parametrize("change, told", [
    (lambda plan, get, text: text.pop("info"), "info"),
    (lambda plan, get, text: get.pop("responses") and get.update(response={}), "response"),
    (lambda plan, get, text: get["parameters"][0].update({"in": "paths"}), "parameters/0"),
    (lambda plan, get, text: get["parameters"][0].update(required="yes"), "parameters/0"),
    (lambda plan, get, text: text.update(openapi="4.0.0"), "version"),
    (lambda plan, get, text: get["responses"].update({"200": {"$ref": "#/components/responses/None"}}), "None"),
    (lambda plan, get, text: plan["properties"]["name"].update({"$ref": "#/components/schemas/None"}), "None"),
    (lambda plan, get, text: plan["properties"]["name"].update(type="text"), "type"),
    (lambda plan, get, text: plan["properties"]["name"].update(maxLenght=5), "maxLenght"),
    (lambda plan, get, text: plan["properties"]["name"].update(format="plan"), "plan"),
    (lambda plan, get, text: plan["required"].append("colour"), "colour"),
], ids=["a member is missing", "a member of another name", "a wrong word", "a wrong type", "another version",
        "a response that is none", "a schema that is none", "no type", "no keyword", "no format",
        "a required member that there is not"])
def test_a_wrong_document_is_found(document, change, told):
    assert told in wrong(document, changed(document, change))


# (method, path, status, headers, change of the plan, what is told); no change: no body.
WRONG = {
    "a wrong type": ("GET", PLAN, 200, TAG, {"domains": "ten"}, "/domains: must be integer"),
    "a wrong word": ("GET", PLAN, 200, TAG, {"protection": "some"}, "/protection"),
    "a member too many": ("GET", PLAN, 200, TAG, {"colour": "red"}, "colour"),
    "no JSON": ("GET", PLAN, 200, TAG, "{", "no JSON"),
    "no body": ("GET", PLAN, 200, TAG, "", "no JSON"),
    "an unknown status": ("GET", PLAN, 200 + 6, TAG, {}, "206"),
    "an unknown status of a problem": ("GET", PLAN, 418, PROBLEM, {"status": 418}, "/status"),
    "an unknown content type": ("GET", PLAN, 200, {**TAG, "Content-Type": "text/json"}, {}, "text/json"),
    "a problem that is plain JSON": ("GET", PLAN, 404, JSON, {}, "application/json"),
    "no request id": ("GET", PLAN, 200, {name: TAG[name] for name in TAG if name != "X-Request-Id"}, {},
                      "X-Request-Id is missing"),
    "no ETag": ("GET", PLAN, 200, JSON, {}, "ETag is missing"),
    "no ETag of 304": ("GET", PLAN, 304, {"X-Request-Id": "a"}, "", "ETag is missing"),
    "an ETag without quotes": ("GET", PLAN, 200, {**TAG, "ETag": "0" * 32}, {}, "ETag"),
    "no Location": ("POST", "/api/v1/plans", 201, TAG, {}, "Location is missing"),
    "no Retry-After": ("GET", PLAN, 429, PROBLEM, {}, "Retry-After is missing"),
    "a Retry-After of 0": ("GET", PLAN, 503, {**PROBLEM, "Retry-After": "0"}, {}, "Retry-After"),
    "no WWW-Authenticate": ("GET", PLAN, 401, PROBLEM, {}, "WWW-Authenticate is missing"),
    "an unknown header": ("GET", PLAN, 200, {**TAG, "X-Powered-By": "C"}, {}, "x-powered-by"),
    "a body of 204": ("DELETE", PLAN, 204, {"X-Request-Id": "a", "Content-Type": "application/json"}, {},
                      "application/json"),
    "no route": ("GET", "/api/v1/none", 200, JSON, {}, "200"),
    "no method": ("PUT", PLAN, 200, JSON, {}, "200"),
    "a wrong type among fields": ("GET", PLAN + "?fields=name", 200, TAG, '{"name": 5}', "/name"),
    "a member too many among fields": ("GET", PLAN + "?fields=name", 200, TAG, '{"colour": "red"}', "colour"),
    "a member too few in a list": ("GET", "/api/v1/plans", 200, JSON, '{"items": [{"name": "house"}], "next": null}',
                                   "/items/0"),
    "a page without items": ("GET", "/api/v1/plans?fields=name", 200, JSON, '{"next": null}', "items"),
}


@pytest.mark.parametrize("method, path, status, headers, change, told", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_found(api, document, method, path, status, headers, change, told):
    """The same without what is wrong is found good all the time, by every other test."""
    good = api.get("/plans/house").json
    text = change if isinstance(change, str) else json.dumps({**good, **change})
    with pytest.raises(AssertionError) as error:
        document.check(method, path, status, headers, text)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ['{"name": "house"}', "{}"])
def test_fields_leave_members_out(document, text):
    document.check("GET", PLAN + "?fields=name", 200, TAG, text)
    with pytest.raises(AssertionError):
        document.check("GET", PLAN, 200, TAG, text)


def test_a_problem_tells_the_status_of_its_answer(api, document):
    answer = api.get("/plans/none")
    assert answer.status == 404
    with pytest.raises(AssertionError):
        document.check("GET", "/api/v1/plans/none", 409, answer.headers, answer.text)


def test_a_value_of_a_schema(document):
    document.check_value("Usage", {"address": "a@b.example", "used_bytes": 1, "used_messages": 1})
    with pytest.raises(AssertionError):
        document.check_value("Usage", {"address": "a@b.example", "used_bytes": 1})
