// Checks requests and answers against our OpenAPI document with ajv, whose dialect is the one of OpenAPI 3.1.
import { readFileSync } from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const DOCUMENT = parse(
  readFileSync(new URL('../../src/server/platform-api/openapi.yaml', import.meta.url), 'utf8'),
);
const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats(ajv);
ajv.addSchema({ $id: 'contract', components: DOCUMENT.components });

const OPERATIONS = Object.entries(DOCUMENT.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    names: [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
    pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '([^/]+)')}$`),
    literal: !path.includes('{'),
    ...operation,
  })),
);

/** The operation that a request is of; `allowed` without `operation`: the path knows other methods. */
export function operationOf(method, path) {
  const there = OPERATIONS.filter(({ pattern }) => pattern.test(path)).sort((a, b) => b.literal - a.literal);
  const operation = there.find((one) => one.method === method);
  if (!operation) return { operation: null, allowed: there.map((one) => one.method), values: {} };
  const [, ...found] = operation.pattern.exec(path);
  const values = Object.fromEntries(operation.names.map((name, at) => [name, decodeURIComponent(found[at])]));
  return { operation, allowed: [], values };
}

/** What is wrong with a request, one sentence each. */
export function requestFaults(operation, { query, values, body }) {
  const declared = operation.parameters ?? [];
  const faults = [...query.keys()]
    .filter((name) => !declared.some((one) => one.in === 'query' && one.name === name))
    .map((name) => `the parameter ${name} is not declared`);
  for (const { name, in: place, schema } of declared) {
    const given = place === 'path' ? [values[name]] : query.getAll(name);
    for (const value of given) faults.push(...schemaFaults(schema, value, name));
  }
  if (!operation.requestBody) return body === undefined ? faults : [...faults, 'it has a body'];
  const { content } = resolved(operation.requestBody);
  if (body === undefined) return [...faults, 'it has no body'];
  return [...faults, ...schemaFaults(content['application/json'].schema, body, 'body')];
}

/** What is wrong with an answer. */
export function answerFaults(operation, { status, body }) {
  const declared = operation.responses[status] ?? operation.responses.default;
  if (!declared) return [`the status ${status} is not declared`];
  const schema = resolved(declared).content?.['application/json']?.schema;
  return schema ? schemaFaults(schema, body, 'answer') : [];
}

function resolved(entry) {
  if (!entry.$ref) return entry;
  return entry.$ref
    .slice(2)
    .split('/')
    .reduce((at, name) => at[name], DOCUMENT);
}

const compiled = new Map();

function schemaFaults(schema, value, name) {
  const text = JSON.stringify(schema).replaceAll('"#/', '"contract#/');
  if (!compiled.has(text)) compiled.set(text, ajv.compile(JSON.parse(text)));
  const check = compiled.get(text);
  if (check(value)) return [];
  return check.errors.map(({ instancePath, message }) => `${name}${instancePath} ${message}`);
}
