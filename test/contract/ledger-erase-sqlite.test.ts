import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { erasureContract } from './ledger-erase.contract.ts';

erasureContract('SQLite', async () => {
  const home = await tempFolder('erase');
  const records = openSqlite(home.path);
  return {
    records,
    home: home.path,
    // As they lie there while a server has them open.
    async bytes() {
      const files = ['', '-wal', '-shm', '-journal'].map((end) => join(home.path, `ledger.db${end}`));
      return Buffer.concat(files.filter((file) => existsSync(file)).map((file) => readFileSync(file)));
    },
    async remove() {
      await records.close();
      await home.remove();
    },
  };
});
