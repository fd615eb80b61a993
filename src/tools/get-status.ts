import { z } from 'zod';
import type { EngineStatus } from '../runs/executor.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import { coverage } from './coverage.ts';
import * as field from './fields.ts';
import type { LedgerStatus, AnchorNote, AnchorProblem } from '../runs/run-ledger.ts';
import type { TrailStanding } from '../runs/trail.ts';
import { iso, verifiedOf } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

export const getStatus = defineTool({
  name: 'get_status',
  title: 'Status of this server',
  description:
    'Shows what this server can do right now: workspaces found, container engine, ledger, sources of history and their coverage, and who must approve runs.',
  effect: 'reads',
  idempotent: true,
  openWorld: false,
  input: z.object({}),
  output: z.object({
    server: z.looseObject({}),
    workspaces: z.looseObject({}),
    executors: field.openObjects,
    ledger: z.looseObject({}),
    sources: field.openObjects,
    policy: z.looseObject({}),
  }),
  async run(services) {
    const [ledger, workspaces, engine] = await Promise.all([
      services.standing(),
      services.overview(),
      services.engine(),
    ]);
    return remembered(ledger, [workspaces, engine, ...movingParts(services)], () =>
      statusOf(services, { ledger, workspaces, engine }),
    );
  },
});

interface Looked {
  ledger: LedgerStatus;
  workspaces: readonly Workspace[];
  engine: EngineStatus;
}

type Status = ReturnType<typeof statusOf>;

/** Assistants ask often: as long as nothing of it has changed, the answer is the very same object. */
const answers = new WeakMap<LedgerStatus, { of: readonly unknown[]; status: Status }>();

function remembered(ledger: LedgerStatus, of: readonly unknown[], look: () => Status): Status {
  const known = answers.get(ledger);
  if (known && of.every((part, index) => part === known.of[index])) return known.status;
  const status = look();
  answers.set(ledger, { of, status });
  return status;
}

/** What changes besides; ages are told in seconds. */
function movingParts({ supervisor, recorder, clock }: Services): unknown[] {
  return [supervisor.open(), recorder.standing().problem, Math.floor(clock.now() / 1000)];
}

function statusOf(services: Services, { ledger, workspaces, engine }: Looked) {
  const { newest_at, oldest_at, verification, anchor, anchor_problem, ...stored } = ledger;
  return {
    server: {
      name: 'polycrate-mcp',
      version: services.version,
      timezone: services.zone,
      open_here: services.supervisor.open(),
    },
    workspaces: {
      found: workspaces.length,
      with_problems: workspaces.filter(({ problems }) => problems.length > 0).length,
      roots: services.roots,
    },
    executors: [executorOf(services.settings.executor, engine)],
    ledger: {
      ...stored,
      newest: iso(newest_at),
      oldest: iso(oldest_at),
      pruning_due: pruningDue(ledger, services),
      verification: verifiedOf(verification),
      trail: trailOf(services.recorder.standing()),
      outside_anchor: anchorOf(anchor, services.clock.now()),
      checkpoint_timer: timerOf(services.anchoring, anchor_problem),
    },
    sources: coverage(ledger),
    policy: policyOf(services),
  };
}

/** Where it was looked for says something only if nothing was found. */
function executorOf(kind: string, engine: EngineStatus): Record<string, unknown> {
  const { available, endpoint, version, tried, problem } = engine;
  return available ? { kind, available, endpoint, version } : { kind, available, problem, tried };
}

/** Null: everything is kept. An operator prunes, never the server. */
function pruningDue({ oldest_at }: LedgerStatus, { retention_ms, clock }: Services): boolean | null {
  return retention_ms === null ? null : oldest_at !== null && oldest_at < clock.now() - retention_ms;
}

function trailOf({ recording, problem }: TrailStanding): string {
  if (!recording) return 'off: calls are not recorded (POLYCRATE_MCP_TRAIL)';
  return problem === null ? 'on' : `waiting: ${problem}`;
}

/** The newest checkpoint that was handed out to be kept elsewhere. */
function anchorOf(anchor: AnchorNote | null, now: number): Record<string, unknown> | null {
  if (!anchor) return null;
  const { at, size, place } = anchor;
  return { at: iso(at), age_seconds: Math.max(0, Math.round((now - at) / 1000)), up_to_event: size, place };
}

/** What writes checkpoints by itself, and why the newest attempt failed if it did. */
function timerOf(
  anchoring: Services['anchoring'],
  problem: AnchorProblem | null,
): Record<string, unknown> | null {
  if (!anchoring) return null;
  const { every_ms, place } = anchoring;
  return { every_seconds: every_ms / 1000, place, problem: problem && { ...problem, at: iso(problem.at) } };
}

function policyOf({ settings }: Services): Record<string, unknown> {
  const meaning = {
    'read-only': 'nothing can be run, cancelled or re-triggered',
    ask: 'a human approves each run through the client',
    trusted: "the client's own confirmation is enough",
  };
  const { mode, allowed_images, allowed_mounts } = settings.limits;
  return { run_mode: mode, meaning: meaning[mode], allowed_images, allowed_mounts };
}
