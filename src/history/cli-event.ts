import { z } from 'zod';
import type { ForeignRun } from '../ledger/mirror.ts';
import { blankRecord } from '../ledger/mirrored-run.ts';
import { createRunRedaction, type RunRedaction } from '../runs/run-redaction.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { CliLog } from './cli-logs.ts';

// What the CLI writes of each transaction (.logs). Written by hand or by other versions too, so read leniently.

const text = z.union([z.string(), z.number()]).transform(String).nullish().catch(null);
const named = z
  .union([z.string(), z.looseObject({ name: z.string() }).transform(({ name }) => name)])
  .nullish();

const schema = z.looseObject({
  transaction: z.string().min(1).max(200),
  date: z.union([z.string(), z.date().transform((date) => date.toISOString())]),
  block: named.catch(null),
  action: named.catch(null),
  workflow: named.catch(null),
  step: named.catch(null),
  exit_code: z.unknown().optional(),
  user_email: text,
  user_name: text,
  version: text,
  commit_sha: text,
  output: text,
  labels: z.record(z.string(), z.unknown()).nullish().catch(null),
  snapshot: z.unknown().optional(),
});

export interface CliRun {
  run: ForeignRun;
  /** As it was printed; clean it before it goes anywhere. */
  output: string;
  redaction: RunRedaction;
}

/** A run; `null`: an event of a command that runs nothing. Throws an Error that says what is wrong with the file. */
export function cliRun({ event, secrets }: CliLog, workspace: Workspace, known: readonly string[]): CliRun | null {
  const parsed = schema.safeParse(event);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'is not an event of the CLI'}`);
  }
  const told = parsed.data;
  if (!told.block || !told.action) return null;
  const started_at = Date.parse(told.date);
  if (Number.isNaN(started_at)) throw new Error('date: is not a time');
  const redaction = createRunRedaction([...known, ...secrets]);
  const clean = (value: string | null | undefined): string | null => (value ? redaction.text(value).slice(0, 500) : null);
  const output = told.output ?? '';
  const exit_code = exitCodeOf(told.exit_code);
  const failed = (exit_code ?? 0) !== 0 || told.labels?.['monk.event.level'] === 'Error';
  const block = blockOf(told.snapshot);
  const [email, name] = [clean(told.user_email), clean(told.user_name)];
  const subject = email ?? name;
  return {
    output,
    redaction,
    run: {
      id: told.transaction,
      identifiers: [],
      record: {
        ...blankRecord(workspace.name, started_at),
        organization: workspace.organization,
        workspace_path: workspace.path,
        environment: workspace.environment && { ...workspace.environment },
        workspace_commit: clean(told.commit_sha),
        block: clean(told.block),
        block_version: clean(block.version),
        block_from: clean(block.from),
        action: clean(told.action),
        workflow: clean(told.workflow),
        step: clean(told.step),
        status: failed ? 'failed' : 'success',
        exit_code: exit_code ?? (failed ? null : 0),
        started_at,
        cli_version: clean(told.version),
        principal: subject === null ? null : { kind: 'os', issuer: null, subject, display: name ?? subject },
        trigger: told.workflow ? 'workflow' : 'cli',
        log: output === '' ? null : { lines: linesOf(output), bytes: Buffer.byteLength(output), sha256: null, gap: null },
      },
    },
  };
} // prettier-ignore

const wholeNumber = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^-?\d+$/)
      .transform(Number),
  ])
  .pipe(z.number().int());

/** The CLI leaves out a zero. What is there and is no number says nothing, so nobody may take it for success. */
function exitCodeOf(told: unknown): number | null {
  if (told === undefined || told === null) return null;
  const { success, data } = wholeNumber.safeParse(told);
  if (!success) throw new Error('exit_code: is not a whole number');
  return data;
} // prettier-ignore

const snapshotBlock = z.looseObject({
  block: z.looseObject({ version: text, from: text }),
});

function blockOf(snapshot: unknown): { version: string | null; from: string | null } {
  const { data } = snapshotBlock.safeParse(snapshot);
  return { version: data?.block.version ?? null, from: data?.block.from ?? null };
}

function linesOf(output: string): number {
  let lines = output.endsWith('\n') ? 0 : 1;
  for (let at = output.indexOf('\n'); at !== -1; at = output.indexOf('\n', at + 1)) lines += 1;
  return lines;
}
