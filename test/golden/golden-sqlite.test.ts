import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { goldenQuestions } from './golden.ts';

goldenQuestions('SQLite', async () => {
  const home = await tempFolder('golden');
  return { home: home.path, env: {}, open: () => openSqlite(home.path), remove: () => home.remove() };
});
