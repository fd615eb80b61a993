import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const WORKSPACE = 'shop-automation';
export const BLOCK = 'orders-db';

// Plain JSON is YAML too, which spares the example a template of its own.
const WORKSPACE_POLY = {
  name: WORKSPACE,
  organization: 'acme',
  description: 'Looks after the databases of a web shop',
  labels: { environment: 'production' },
  blocks: [{ name: BLOCK, config: { port: 5433 } }],
};

/** No script connects to it; it is there to be seen in plans and questions. */
const INVENTORY = { all: { hosts: { 'orders-db-1.shop.example': {}, 'orders-db-2.shop.example': {} } } };

/** A stand-in for a database: scripts that only print, so that any image with bash can run them. */
const BLOCK_POLY = {
  name: BLOCK,
  version: '1.4.3',
  kind: 'generic',
  description: 'The database that takes the orders',
  config: { port: 5432, admin_password: 'correct-horse-battery' },
  actions: [
    {
      name: 'status',
      description: 'Tells whether the database answers',
      script: ['echo "orders-db accepts connections"'],
    },
    {
      name: 'restart',
      description: 'Stops and starts the database',
      script: [
        'echo "stopping orders-db: 212 connections closed"',
        'echo "starting orders-db"',
        'echo "orders-db accepts connections"',
      ],
    },
    {
      name: 'backup',
      description: 'Dumps every table; takes a few seconds',
      script: [
        'for table in customers orders items invoices; do echo "dumping $table"; sleep 1; done',
        'echo "4 tables dumped"',
      ],
    },
    {
      name: 'migrate',
      description: 'Moves to the next schema; fails on purpose',
      script: [
        'echo "migration 42: add column orders.voucher"',
        'echo "connecting as admin with password correct-horse-battery"',
        'echo "ERROR: column voucher of relation orders already exists"',
        'exit 3',
      ],
    },
    {
      name: 'reindex',
      description: 'Rebuilds every index; takes ten minutes',
      script: ['echo "rebuilding 58 indexes"', 'sleep 600'],
    },
  ],
};

/** Writes the example below `folder`, as the operator's folder of workspaces. */
export async function writeExample(folder: string): Promise<void> {
  const workspace = join(folder, 'acme', WORKSPACE);
  const block = join(workspace, 'blocks', BLOCK);
  await mkdir(block, { recursive: true });
  await writeFile(join(workspace, 'workspace.poly'), text(WORKSPACE_POLY));
  await writeFile(join(workspace, 'inventory.yml'), text(INVENTORY));
  await writeFile(join(block, 'block.poly'), text(BLOCK_POLY));
}

function text(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
