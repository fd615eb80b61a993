import { answerFaults, operationOf, requestFaults } from '../contract-server/contract.mjs';

export interface ApiAnswer {
  status: number;
  body: any;
  headers: Headers;
}

export interface ApiRequest {
  method?: 'GET' | 'POST';
  path: string;
  token?: string | undefined;
  body?: unknown;
  /** What is wrong with it on purpose is not looked at. */
  bad?: boolean;
}

/** Asks a server that answers as a Polycrate API; request and answer are held against our OpenAPI document. */
export function apiClient(origin: URL): (request: ApiRequest) => Promise<ApiAnswer> {
  return async ({ method = 'GET', path, token, body, bad = false }) => {
    const url = new URL(path, origin);
    const answer = await fetch(url, {
      method,
      headers: {
        ...(token !== undefined && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const told: ApiAnswer = { status: answer.status, body: await answer.json(), headers: answer.headers };
    const { operation, values } = operationOf(method, url.pathname);
    if (operation) {
      const wrong = bad ? [] : requestFaults(operation, { query: url.searchParams, values, body });
      const faults = [...wrong, ...answerFaults(operation, told)];
      if (faults.length > 0) throw new Error(`${method} ${path} ${told.status}: ${faults.join('; ')}\n${JSON.stringify(told.body)}`);
    }
    return told;
  };
} // prettier-ignore
