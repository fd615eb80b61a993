import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';

/** What people log in for. */
export interface Application {
  /** Null: it is a public client. */
  secret: string | null;
  /** The only address where its people are sent back to. */
  redirect: string;
}

/** The authorization code flow of an issuer: asks who it is, and exchanges each code once for who can prove to have asked. */
export interface Logins {
  applications: Map<string, Application>;
  /** The access token of whoever logs in; `asked`: the query of the application. */
  grant: (asked: URLSearchParams) => Promise<string>;
  /** Nobody is asked: who comes is logged in already, somewhere else. */
  silent: boolean;
  /** How the token endpoint answers instead. */
  breaks: ((response: ServerResponse) => void) | null;
  /** Members of the discovery document that say otherwise. */
  document: Record<string, unknown>;
  /** Codes that were exchanged. */
  exchanged: number;
  /** False: it is none of these addresses. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
}

interface Code {
  client_id: string;
  asked: URLSearchParams;
}

export interface LoginsParts {
  url: () => string;
  grant: Logins['grant'];
  idToken(client_id: string): Promise<string>;
}

export function createLogins({ url, grant, idToken }: LoginsParts): Logins {
  const codes = new Map<string, Code>();
  const json = (response: ServerResponse, status: number, value: unknown, headers = {}): void => {
    response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
  const wrong = (response: ServerResponse, status: number, error: string): void =>
    json(response, status, { error, error_description: `wrong: ${error}` });
  const sendBack = (response: ServerResponse, asked: URLSearchParams, members: Record<string, string>): void => {
    const to = new URL(asked.get('redirect_uri')!);
    for (const [name, value] of Object.entries({ ...members, state: asked.get('state')!, iss: url() })) to.searchParams.set(name, value);
    response.writeHead(303, { Location: to.href }).end();
  };
  const grantCode = (response: ServerResponse, asked: URLSearchParams): void => {
    const code = randomBytes(16).toString('hex');
    codes.set(code, { client_id: asked.get('client_id')!, asked });
    sendBack(response, asked, { code });
  };
  const authorize = async (request: IncomingMessage, response: ServerResponse, asked: URLSearchParams): Promise<void> => {
    const application = logins.applications.get(asked.get('client_id') ?? '');
    const isRight =
      application?.redirect === asked.get('redirect_uri') &&
      asked.get('response_type') === 'code' &&
      asked.get('code_challenge_method') === 'S256' &&
      /^[\w-]{43}$/.test(asked.get('code_challenge') ?? '') &&
      (asked.get('state') ?? '').length >= 22;
    if (!isRight) return wrong(response, 400, 'invalid_request');
    if (request.method === 'POST') {
      const answer = new URLSearchParams(await text(request)).get('answer');
      if (answer === 'yes') return grantCode(response, asked);
      return sendBack(response, asked, { error: 'access_denied', error_description: 'The person said no' });
    }
    if (logins.silent) {
      // As issuers do that ask another one: at another origin, and back again.
      const elsewhere = new URL(`${url()}/elsewhere?${asked}`);
      elsewhere.hostname = 'localhost';
      response.writeHead(303, { Location: elsewhere.href }).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end('<!doctype html><title>Issuer</title><h1>Who are you?</h1><form method="post"><button name="answer" value="yes">I am Mei</button><button name="answer" value="no">Cancel</button></form>');
  };
  const exchange = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const form = new URLSearchParams(await text(request));
    const [id, secret] = credentialsOf(request, form);
    const application = logins.applications.get(id);
    if (!application || application.secret !== secret) {
      return json(response, 401, { error: 'invalid_client' }, { 'WWW-Authenticate': 'Basic realm="issuer"' });
    }
    const code = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '').digest('base64url');
    const isRight =
      form.get('grant_type') === 'authorization_code' &&
      code?.client_id === id &&
      code.asked.get('redirect_uri') === form.get('redirect_uri') &&
      code.asked.get('code_challenge') === challenge &&
      code.asked.get('resource') === form.get('resource');
    if (!isRight) return wrong(response, 400, 'invalid_grant');
    logins.exchanged += 1;
    const [access_token, id_token] = await Promise.all([logins.grant(code.asked), idToken(id)]);
    json(response, 200, { access_token, id_token, token_type: 'Bearer', expires_in: 300 });
  };
  const logins: Logins = {
    applications: new Map(),
    grant,
    silent: false,
    breaks: null,
    document: {},
    exchanged: 0,
    async handle(request, response) {
      const { pathname, searchParams } = new URL(request.url ?? '/', url());
      if (pathname === '/authorize') await authorize(request, response, searchParams);
      else if (pathname === '/elsewhere') grantCode(response, searchParams);
      else if (pathname === '/token' && logins.breaks) logins.breaks(response);
      else if (pathname === '/token') await exchange(request, response);
      else return false;
      return true;
    },
  };
  return logins;
} // prettier-ignore

/** By the header, or in the form; a public client has only its id. */
function credentialsOf({ headers }: IncomingMessage, form: URLSearchParams): [id: string, secret: string | null] {
  const [, basic] = /^Basic (.+)$/.exec(headers.authorization ?? '') ?? [];
  if (basic === undefined) return [form.get('client_id') ?? '', form.get('client_secret')];
  const [id = '', secret = ''] = Buffer.from(basic, 'base64').toString('utf8').split(':').map(decoded);
  return [id, secret];
} // prettier-ignore

/** As in a form. */
function decoded(part: string): string {
  return new URLSearchParams(`part=${part}`).get('part')!;
}
