import { manyOnSqlite } from './many-places.ts';
import { bucketsContract, manyRunsContract } from './run-summary-many.contract.ts';

bucketsContract();
manyRunsContract('SQLite', manyOnSqlite);
