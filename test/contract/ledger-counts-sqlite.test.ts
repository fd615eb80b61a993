import { countsContract } from './ledger-counts.contract.ts';
import { sqlitePlace } from './ledger-places.ts';
import { summaryContract } from './run-summary.contract.ts';

countsContract('SQLite', sqlitePlace);
summaryContract('SQLite', sqlitePlace);
