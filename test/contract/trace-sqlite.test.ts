import { sqlitePlace } from './ledger-places.ts';
import { traceContract } from './trace.contract.ts';

traceContract('SQLite', sqlitePlace);
