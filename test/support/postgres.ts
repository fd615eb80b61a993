import { describe } from 'vitest';
import { ownPostgres, programs, serverAt, type PostgresServer } from './postgres-server.ts';

export { ownPostgres, type OwnPostgresServer, type Place, type PostgresServer } from './postgres-server.ts';

const GIVEN = process.env['POLYCRATE_MCP_TEST_DATABASE_URL'];
const REQUIRED = process.env['POLYCRATE_MCP_TEST_REQUIRE'] === '1';
const HELP = 'install it (Debian: postgresql)';

function gate(missing: string | null): typeof describe | typeof describe.skip {
  if (missing === null) return describe;
  if (REQUIRED) throw new Error(missing);
  console.error(`SKIPPED: ${missing}`);
  return describe.skip;
}

/** Like `describe`, for tests that need any PostgreSQL: our own, or the one that is named. */
export const describeWithPostgres = gate(
  programs || GIVEN
    ? null
    : `There is no PostgreSQL: ${HELP}, or set POLYCRATE_MCP_TEST_DATABASE_URL to an empty database.`,
);
/** For tests that crash the server or make roles. */
export const describeWithOwnPostgres = gate(
  programs ? null : `There is no PostgreSQL that a test may crash: ${HELP}.`,
);

/** The server that is named, else one of our own. Call it in `beforeAll`, and `stop` in `afterAll`. */
export async function usePostgres(): Promise<PostgresServer> {
  return GIVEN ? serverAt(GIVEN, async () => undefined) : await ownPostgres();
}
