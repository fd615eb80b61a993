import { may, type Identity } from '../../access/identity.ts';
import type { Ingest, Ingested } from '../../platform/ingest/ingest.ts';
import { readFinish, readStart, readWhole, type Read } from '../../platform/ingest/reports.ts';
import { notFound, refusal, refused, type Reply } from './answers.ts';
import { iso, statusWord } from './shapes.ts';

// Reports of runs (polycrate-api facts 2.1 to 2.3).

export interface ReportPorts {
  ingest: Ingest;
  urlOf(run_id: string): string;
}

export async function startReply(ports: ReportPorts, identity: Identity, body: unknown): Promise<Reply> {
  return await reported(identity, readStart(body), async (report) =>
    answerOf(ports, await ports.ingest.start(identity, report), 201),
  );
}

export async function finishReply(ports: ReportPorts, identity: Identity, { id, body }: { id: string; body: unknown }): Promise<Reply> {
  return await reported(identity, readFinish(body), async (report) =>
    answerOf(ports, await ports.ingest.finish(identity, id, report), 200),
  );
} // prettier-ignore

export async function wholeReply(ports: ReportPorts, identity: Identity, body: unknown): Promise<Reply> {
  return await reported(identity, readWhole(body), async (report) => {
    const { status, value } = answerOf(ports, await ports.ingest.report(identity, report), 201);
    return {
      status,
      value: status === 201 ? { ...(value as object), message: 'The run was recorded.' } : value,
    };
  });
}

async function reported<T>(
  identity: Identity,
  read: Read<T>,
  work: (report: T) => Promise<Reply>,
): Promise<Reply> {
  if (!may(identity, 'runner')) {
    return refused(403, 'permission_denied', 'This key may only read; reports need the role runner.');
  }
  return 'faults' in read ? refusal(400, read.faults) : await work(read.report);
}

function answerOf({ urlOf }: ReportPorts, ingested: Ingested, status: 200 | 201): Reply {
  switch (ingested.outcome) {
    case 'stored': {
      const { run_id: id } = ingested;
      return {
        status,
        value: { success: true, action_run_id: id, status: statusWord(ingested), action_run_url: urlOf(id) },
      };
    }
    case 'conflict': {
      const { run } = ingested;
      const conflict = {
        action_run_id: run.id,
        action: run.action ?? '',
        status: run.status,
        started_at: iso(run.started_at),
        action_run_url: urlOf(run.id),
      };
      return { status: 409, value: { success: false, error: 'action_run_already_running', conflict } };
    }
    case 'unknown':
      return notFound('There is no such organization, workspace or run that this key may see.');
    case 'not_yours':
      return refused(
        403,
        'permission_denied',
        'Only the key that reported the start of a run, or an admin, may report its end.',
      );
    case 'ended':
      return refused(409, 'conflict', `This run has ended as ${statusWord(ingested)} already.`);
  }
}
