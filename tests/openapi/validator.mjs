/*
 * Checks answers of the HTTP API against its document: a line of JSON in, a line with what is wrong
 * out, [] for nothing, until there are no more lines. What a line has:
 *   document       what the others are about, from here on
 *   openapi        a document that is to be checked itself: it is OpenAPI 3.1, and each of its
 *                  schemas can be used
 *   schema, value  the name of a schema, and what is to be as it says
 *   method, path   an answer: of this operation as the document names it; path null: of none
 *     status
 *     headers      {name in lower case: value}
 *     body         as text; null: none was asked for (HEAD)
 *     partial      whether members may be missing, as `fields` left some out
 */

import { createInterface } from "node:readline";

import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

/* Of HTTP, browsers and connections: the document need not name them. */
const GENERAL = new Set([
  "cache-control", "connection", "content-length", "content-security-policy", "content-type",
  "date", "keep-alive", "referrer-policy", "set-cookie", "strict-transport-security",
  "transfer-encoding", "x-content-type-options",
]);

class Document {
  constructor(text) {
    this.text = text;
    this.ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
    this.ajv.addVocabulary(Object.keys(text));  // the document is not a schema, but holds them
    addFormats.default(this.ajv);
    this.ajv.addSchema({ ...text, $id: "document" });
    this.ajv.addSchema({ ...withoutRequired(text), $id: "partial" });
    this.compiled = new Map();
  }

  /* What `pointer` leads to, through a reference; with the pointer that leads there directly. */
  find(pointer) {
    const found = pointer.reduce((value, name) => value?.[name], this.text);
    return found?.$ref ? this.find(found.$ref.slice(2).split("/")) : [found, pointer];
  }

  schema(pointer, partial = false) {
    const fragment = pointer.map((name) => encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1")));
    const reference = `${partial ? "partial" : "document"}#/${fragment.join("/")}`;
    if (!this.compiled.has(reference))
      this.compiled.set(reference, this.ajv.compile({ $ref: reference }));
    return this.compiled.get(reference);
  }

  /* References lead to what is compiled at its own place. */
  compileAll(pointer = [], value = this.text) {
    if (value === null || typeof value !== "object" || value.$ref) return;
    const [first, second] = pointer.slice(-2);
    if (second === "schema" || (first === "schemas" && pointer.length === 3)) this.schema(pointer);
    else
      for (const [name, part] of Object.entries(value)) this.compileAll([...pointer, name], part);
  }
}

function withoutRequired(text) {
  const copy = structuredClone(text);
  for (const schema of Object.values(copy.components.schemas)) delete schema.required;
  return copy;
}

function sentence(error) {
  return `${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`;
}

function complain(where, validate, value) {
  if (validate(value)) return [];
  return validate.errors.map((error) => where + sentence(error));
}

function checkHeaders(document, pointer, said, headers) {
  const wrong = [];
  const known = new Set(GENERAL);
  for (const name of Object.keys(said)) {
    const [header, at] = document.find([...pointer, "headers", name]);
    const value = headers[name.toLowerCase()];
    known.add(name.toLowerCase());
    if (value === undefined) {
      if (header.required) wrong.push(`the header ${name} is missing`);
    } else {
      const typed = header.schema.type === "integer" && /^[0-9]+$/.test(value) ? Number(value) : value;
      wrong.push(...complain(name, document.schema([...at, "schema"]), typed));
    }
  }
  for (const name of Object.keys(headers))
    if (!known.has(name)) wrong.push(`the header ${name} is not in the document`);
  return wrong;
}

function checkBody(document, pointer, content, { headers, body, partial }) {
  const type = headers["content-type"];
  if (content === undefined)
    return body || type ? [`a body of type ${type}, where the document has none`] : [];
  if (!Object.hasOwn(content, type)) return [`the content type ${type} is not in the document`];
  if (body === null) return [];
  let value = body;
  if (/^application\/(.+\+)?json$/.test(type)) {
    try {
      value = JSON.parse(body);
    } catch (error) {
      return [`the body is no JSON: ${error.message}`];
    }
  }
  return complain("", document.schema([...pointer, "content", type, "schema"], partial), value);
}

/* Where the document says what such an answer is like. */
function findResponse(document, { method, path, status }) {
  if (path === null) return status >= 400 ? ["components", "responses", "Problem"] : null;
  const responses = ["paths", path, method.toLowerCase(), "responses"];
  const said = document.find(responses)[0] ?? {};
  const name = [`${status}`, `${status}`[0] + "XX", "default"].find((name) => Object.hasOwn(said, name));
  return name === undefined ? null : [...responses, name];
}

function checkAnswer(document, answer) {
  const response = findResponse(document, answer);
  if (response === null) return [`the status ${answer.status} is not in the document`];
  const [said, pointer] = document.find(response);
  return [...checkHeaders(document, pointer, said.headers ?? {}, answer.headers),
    ...checkBody(document, pointer, said.content, answer)];
}

const openapi = new Validator();

async function checkDocument(text) {
  const { valid, errors } = await openapi.validate(structuredClone(text));
  if (!valid)
    return [errors].flat().map((error) => typeof error === "string" ? error : sentence(error));
  try {
    new Document(text).compileAll();
  } catch (error) {
    return [error.message];
  }
  return [];
}

let document;

function answerTo(asked) {
  if (asked.document) {
    document = new Document(asked.document);
    return [];
  }
  if (asked.openapi)
    return checkDocument(asked.openapi);
  if (asked.schema)
    return complain("", document.schema(["components", "schemas", asked.schema]), asked.value);
  return checkAnswer(document, asked);
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answerTo(JSON.parse(line)))}\n`);
