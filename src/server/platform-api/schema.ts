import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { API_PREFIX } from './answers.ts';

/** Where this API tells what it answers; for everybody, as it says nothing about anybody. */
export const SCHEMA_PATH = `${API_PREFIX}schema/`;

const YAML = /application\/(?:x-)?yaml|text\/yaml|application\/vnd\.oai\.openapi(?!\+json)/i;

/** The OpenAPI document, as JSON, or as YAML for who asks for that; the build makes both from one source. */
export async function sendSchema(response: ServerResponse, accept: string | undefined): Promise<void> {
  const [file, type] = YAML.test(accept ?? '')
    ? ['openapi.yaml', 'application/yaml']
    : ['openapi.json', 'application/json'];
  const text = await readFile(new URL(`./${file}`, import.meta.url));
  response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'max-age=300', Vary: 'Accept' }).end(text);
}
