import { afterAll, beforeAll } from 'vitest';
import { createPostgresLedger } from '../../src/adapters/postgres/index.ts';
import { describeWithPostgres, usePostgres, type PostgresServer } from '../support/postgres.ts';
import { approvalsContract, type ApprovalPlace } from './approvals.contract.ts';
import { webhookQueueContract } from './webhook-queue.contract.ts';

describeWithPostgres('approvals in a database', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await usePostgres();
  });
  afterAll(() => server.stop());

  const open = async (): Promise<ApprovalPlace> => {
    const place = await server.place();
    return {
      connect: () => createPostgresLedger({ url: place.url, log: () => undefined }),
      remove: () => place.remove(),
    };
  };
  approvalsContract('PostgreSQL', open);
  webhookQueueContract('PostgreSQL', open);
});
