import { may, sees, type Identity, type Principal } from '../../access/identity.ts';
import type { ForeignRecord, Mirror } from '../../ledger/mirror.ts';
import { foreignId } from '../../ledger/mirrored-run.ts';
import { isOpen, type ActionRun, type RunAlias, type RunStatus } from '../../runs/action-run.ts';
import type { RunLedger } from '../../runs/run-ledger.ts';
import type { RunLogs } from '../../runs/run-log.ts';
import type { Clock, Ids } from '../../shared/ports.ts';
import type { Environment } from '../../workspaces/workspace.ts';
import { createIngestLogs } from './ingest-logs.ts';
import { createIngestRedactions } from './ingest-redaction.ts';
import { foreignIdOf, identifiersOf, identityOfReport, idsOfReport, isSameEnd, isSuperseded, finishedRecord, startedRecord, supersededRecord, type RowParts } from './ingest-row.ts'; // prettier-ignore
import { createPageWriter } from './page-writer.ts';
import type { FinishedReport, PlaceReport, StartedReport, WholeReport } from './reports.ts';
import { createOpenReports, isReportedBy, rewritten, toldOf, type Told } from './told.ts';

/** What this server calls the place where runs are reported to it. */
export const REPORTS = 'reports';

export interface IngestPorts {
  mirror: Pick<Mirror, 'storePage' | 'current'>;
  ledger: Pick<RunLedger, 'find' | 'key'>;
  logs: Pick<RunLogs, 'open' | 'read' | 'remove'>;
  /** Of a workspace that is known here too; nothing of any other. */
  environmentOf(organization: string, workspace: string): Promise<Environment | null>;
  secretsOf(organization: string, workspace: string): Promise<readonly string[]>;
  /** The redaction of the whole process, on top of a run's own. */
  redact(text: string): string;
  clock: Pick<Clock, 'now'>;
  ids: Ids;
}

export type Ingested =
  | { outcome: 'stored'; run_id: string; status: RunStatus }
  /** Another run of the block is open. */
  | { outcome: 'conflict'; run: ActionRun }
  /** A place or a run that does not exist for this identity. */
  | { outcome: 'unknown' }
  /** A run that this identity sees, but did not report. */
  | { outcome: 'not_yours' }
  /** The end of this run was told already, and it was another one. */
  | { outcome: 'ended'; run_id: string; status: RunStatus };

/** Runs that others execute and report here; each becomes a part of this ledger's history. */
export interface Ingest {
  start(identity: Identity, report: StartedReport): Promise<Ingested>;
  finish(identity: Identity, run_id: string, report: FinishedReport): Promise<Ingested>;
  report(identity: Identity, report: WholeReport): Promise<Ingested>;
}

export function createIngest(ports: IngestPorts): Ingest {
  const { mirror, ledger, clock, ids } = ports;
  const writer = createPageWriter({ mirror, endpoint: REPORTS, clock });
  const redactions = createIngestRedactions(({ organization, workspace }) => ports.secretsOf(organization ?? '-', workspace));
  const logs = createIngestLogs(ports);
  const seenBy = async ({ scope }: Identity, id: string): Promise<ActionRun | null> => {
    const run = await ledger.find(id);
    return run && sees(scope, run) ? run : null;
  };
  const open = createOpenReports();
  const rowsOf = async (ids: readonly string[]): Promise<Told[]> => (await mirror.current('ingest', REPORTS, ids)).map(toldOf);
  const rowOf = async (id: string): Promise<Told | null> => (await rowsOf([id]))[0] ?? null;

  const partsOf = async (identity: Identity, { organization, workspace }: PlaceReport, clean: (text: string) => string): Promise<RowParts> => ({
    identity,
    now: clock.now(),
    environment: await ports.environmentOf(organization, workspace),
    clean: (text) => ports.redact(clean(text)),
  });

  /** Ids that belong to a run of another place are none of this run. */
  const aliasesOf = async (known: readonly RunAlias[], place: Pick<ActionRun, 'organization' | 'workspace'>): Promise<RunAlias[]> => {
    const looked = await Promise.all(known.map(async (alias) => ({ alias, run: await ledger.find(alias.id) })));
    const fits = (run: ActionRun | null): boolean =>
      run === null || (run.organization === place.organization && run.workspace === place.workspace);
    return looked.filter(({ run }) => fits(run)).map(({ alias }) => alias);
  };

  /** Closes the record of a run that somebody insisted on running beside. */
  const supersede = async (run: ActionRun, by: Principal): Promise<void> => {
    for (const row of await rowsOf(ingestIds(run))) {
      if (!isOpen(row.record)) continue;
      await writer.store(rewritten(row, supersededRecord(row.record, { now: clock.now(), by: by.display })));
    }
  };

  const start = async (identity: Identity, report: StartedReport): Promise<Ingested> => {
    if (!sees(identity.scope, report)) return { outcome: 'unknown' };
    const own = idsOfReport(report.block_labels, null);
    const known = identityOfReport(own);
    const id = known === null ? ids.next() : foreignIdOf(identity, report, known);
    const redaction = await redactions.of(report, report.block_config);
    const record = startedRecord(report, await partsOf(identity, report, redaction.text));
    const identifiers = await aliasesOf(identifiersOf(own), report);
    for (let alone = true; ; ) {
      // The same start once more, also when its run has ended since.
      const there = known === null ? null : await rowOf(id);
      if (there) return storedAs(there.run_id, there.record);
      const stored = await writer.store({ id, identifiers, record, only_if: { alone, after: null } });
      if (!('refused' in stored)) {
        const { run_id, seq, position, fresh } = stored;
        redactions.keep(run_id, redaction.secrets);
        // A run that others told of as well may not be of the place that this report names.
        if (fresh) open.keep({ run_id, foreign_id: id, place: { seq, position }, identifiers, record });
        return storedAs(stored.run_id, record);
      }
      if (stored.refused.why === 'stale') continue;
      const holder = (await ledger.find(stored.refused.run_id!))!;
      if (!report.force) return { outcome: 'conflict', run: holder };
      // What runs here goes on, whatever anybody claims, so its record stays as it is.
      if (holder.source === 'ingest') await supersede(holder, identity.principal);
      else alone = false;
    }
  };

  /** The end of a run whose row is there. */
  const end = async (identity: Identity, first: Told, report: FinishedReport): Promise<Ingested> => {
    for (let row: Told | null = first; row; row = await rowOf(row.foreign_id)) {
      const { run_id, record: before } = row;
      const place = { organization: before.organization, workspace: before.workspace };
      const redaction = await redactions.resume(run_id, place);
      const parts = { identity, now: clock.now(), environment: null, clean: (text: string) => ports.redact(redaction.text(text)) };
      if (!isOpen(before) && !isSuperseded(before)) {
        return isSameEnd(before, finishedRecord(before, report, { ...parts, log: null })) ? storedAs(run_id, before) : { outcome: 'ended', run_id, status: before.status };
      }
      const ended = finishedRecord(before, report, { ...parts, log: await logs.write(run_id, report, redaction.clean) });
      const further = await aliasesOf(identifiersOf(idsOfReport(null, report.metadata)), place);
      const stored = await writer.store(rewritten(row, ended, further));
      if (!('refused' in stored)) return storedAs(stored.run_id, ended);
    }
    return { outcome: 'unknown' };
  };

  return {
    start,
    async finish(identity, run_id, report) {
      const awaited = open.take(run_id);
      if (awaited && sees(identity.scope, awaited.record) && isReportedBy(awaited, identity)) {
        return await logs.alone(run_id, () => end(identity, awaited, report));
      }
      const run = await seenBy(identity, run_id);
      if (!run) return { outcome: 'unknown' };
      const rows = await rowsOf(ingestIds(run));
      const row = rows.find((one) => isReportedBy(one, identity)) ?? (may(identity, 'admin') ? rows[0] : undefined);
      if (!row) return { outcome: 'not_yours' };
      return await logs.alone(run.id, () => end(identity, row, report));
    },
    async report(identity, report) {
      if (!sees(identity.scope, report)) return { outcome: 'unknown' };
      const own = idsOfReport(null, report.metadata);
      const known = identityOfReport(own);
      const id = known === null ? ids.next() : foreignIdOf(identity, report, known);
      const there = known === null ? null : await rowOf(id);
      if (there) return await logs.alone(there.run_id, () => end(identity, there, report));
      const redaction = await redactions.of(report, report.block_config);
      const parts = await partsOf(identity, report, redaction.text);
      const started = startedRecord(report, parts);
      // As the ledger will call it, unless it knows the run already.
      const likely = foreignId(await ledger.key(), { at: report.started_at, source: 'ingest', endpoint: REPORTS, id });
      const log = await logs.write(likely, report, redaction.clean);
      const record = finishedRecord(started, report, { ...parts, log });
      const identifiers = await aliasesOf(identifiersOf(own), report);
      const stored = await writer.store({ id, identifiers, record, only_if: { after: null } });
      if ('refused' in stored) {
        await logs.drop(likely);
        const row = (await rowOf(id))!;
        return await logs.alone(row.run_id, () => end(identity, row, report));
      }
      if (stored.run_id !== likely && log) {
        await logs.drop(likely);
        const again = await redactions.of(report, report.block_config);
        await logs.write(stored.run_id, report, again.clean);
      }
      return storedAs(stored.run_id, record);
    },
  };
} // prettier-ignore

function storedAs(run_id: string, { status }: Pick<ForeignRecord, 'status'>): Ingested {
  return { outcome: 'stored', run_id, status };
}

/** By which ids this run was reported here. */
function ingestIds({ aliases }: ActionRun): string[] {
  return aliases
    .filter(({ source, endpoint }) => source === 'ingest' && endpoint === REPORTS)
    .map(({ id }) => id);
}
