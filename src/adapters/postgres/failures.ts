import { AppError, codeOf, messageOf } from '../../shared/errors.ts';

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  // A socket file that is gone: the server restarts.
  'ENOENT',
]);
/** SQLSTATE: connection lost, shutting down or starting, a standby, lost a race, too many connections. */
const PASSING_STATES = /^(08...|57P0[1-5]|25006|40001|40P01|53300)$/;
/** What the driver says without a code. */
const CONNECTION_WORDS = /terminated|timeout|not queryable|connection error/i;

/** True where another attempt on a new connection may succeed; whether this one took effect is unknown. */
export function isPassing(error: unknown): boolean {
  const code = codeOf(error);
  if (isFromServer(error)) return PASSING_STATES.test(code ?? '');
  return code === undefined ? CONNECTION_WORDS.test(messageOf(error)) : CONNECTION_CODES.has(code);
}

function isFromServer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error;
}

const HELP: readonly [codes: RegExp, next: string][] = [
  [/^28/, 'check user and password in POLYCRATE_MCP_DATABASE_URL'],
  [/^3D000$/, 'create the database, or name another one in POLYCRATE_MCP_DATABASE_URL'],
  [
    /^(42501|3F000)$/,
    'give the role of POLYCRATE_MCP_DATABASE_URL the rights that manifests/postgres/roles.sql names',
  ],
  [/^53100$/, 'free some disk space where the database lies'],
  [/^25006$/, 'the database is read-only: name the primary in POLYCRATE_MCP_DATABASE_URL'],
  [/^(55P03|57014)$/, 'something holds a lock of the ledger, or the database is overloaded: try again'],
  [
    /^(E[A-Z_]+|08...|57P0.)$/,
    'check that the database runs where POLYCRATE_MCP_DATABASE_URL says, and that this host reaches it',
  ],
];

/** Turns the driver's or the database's error into ours; what the message quotes is never the URL. */
export function unavailable(error: unknown, location: string): AppError {
  if (error instanceof AppError) return error;
  const code = codeOf(error) ?? (isPassing(error) ? 'ETIMEDOUT' : '');
  const next = HELP.find(([codes]) => codes.test(code))?.[1] ?? 'run `polycrate-mcp doctor`';
  return new AppError('ledger_unavailable', `the ledger ${location} cannot be used: ${reasonOf(error)}`, {
    next,
    cause: error,
  });
}

/** Whether a call may have been stored although it failed. */
export function isUnknown(error: unknown): boolean {
  return error instanceof AppError && isPassing(error.cause);
}

function reasonOf(error: unknown): string {
  // Several addresses were tried, each with an error of its own.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join(', ');
  return messageOf(error);
}

/** Where the ledger lies, for people: host, port and database, neither user nor password. */
export function locationOf(url: string): string {
  const { hostname, port, pathname, searchParams } = new URL(url);
  const host = hostname || searchParams.get('host') || 'localhost';
  return `postgres://${host}${port ? `:${port}` : ''}${decodeURIComponent(pathname)}`;
}
