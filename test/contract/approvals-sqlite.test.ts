import { openSqlite } from '../support/fill-ledger.ts';
import { tempFolder } from '../support/mcp.ts';
import { approvalsContract, type ApprovalPlace } from './approvals.contract.ts';
import { webhookQueueContract } from './webhook-queue.contract.ts';

const open = async (): Promise<ApprovalPlace> => {
  const home = await tempFolder('approvals');
  return { connect: () => openSqlite(home.path), remove: home.remove };
};
approvalsContract('SQLite', open);
webhookQueueContract('SQLite', open);
