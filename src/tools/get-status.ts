import { z } from 'zod';
import type { EngineStatus } from '../runs/executor.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { SubmissionStanding } from '../platform/submit.ts';
import { apiSources } from './api-sources.ts';
import { coverage } from './coverage.ts';
import * as field from './fields.ts';
import type { SeenStanding } from '../ledger/mirror.ts';
import type { LedgerStatus, AnchorNote, AnchorProblem } from '../runs/run-ledger.ts';
import { isAway } from '../runners/choose.ts';
import type { JournalStanding } from '../runs/outage.ts';
import type { KnownRunner } from '../runners/exchange.ts';
import type { PolicyStanding } from '../runs/policies.ts';
import type { TrailStanding } from '../runs/trail.ts';
import { iso, verifiedOf } from './present-run.ts';
import type { Services } from './services.ts';
import { defineTool } from './tool.ts';

export const getStatus = defineTool({
  name: 'get_status',
  title: 'Status of this server',
  description:
    'Shows what this server can do now: workspaces, engines, ledger, sources of history and their coverage, and who must approve runs.',
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
  async run(services, _, { caller }) {
    if (services.runners) return await statusWithRunners(services, caller.principal.kind === 'os');
    const alone = caller.principal.kind === 'os';
    const [ledger, workspaces, engine, reports, standings, policy, journal] = await Promise.all([
      services.standing(),
      services.overview(),
      services.engine(),
      services.reports(),
      services.standings(),
      services.policy(),
      services.outage?.standing() ?? null,
    ]);
    return remembered(
      ledger,
      [workspaces, engine, reports, standings, policy, alone, journal, ...movingParts(services)],
      () => statusOf(services, { ledger, workspaces, engine, reports, standings, policy, journal, alone }),
    );
  },
});

/** Runners come and go, so nothing of it is remembered. */
async function statusWithRunners(services: Services, alone: boolean): Promise<Status> {
  const [ledger, workspaces, reports, standings, policy, runners] = await Promise.all([
    services.standing(),
    services.overview(),
    services.reports(),
    services.standings(),
    services.policy(),
    services.runners!.known(services.scope),
  ]);
  const engine = { available: false, endpoint: null, version: null, tried: [], problem: null };
  const looked = { ledger, workspaces, engine, reports, standings, policy, alone };
  // Only who executes keeps one.
  const status = statusOf(services, { ...looked, journal: null });
  const now = services.clock.now();
  return {
    ...status,
    workspaces: { found: workspaces.length, with_problems: 0 },
    executors: runners.map((runner) => runnerOf(runner, now)),
  };
}

function runnerOf(runner: KnownRunner, now: number): Record<string, unknown> {
  const { name, engine, labels, version, workspaces, silent_ms } = runner;
  const away = isAway(runner);
  return {
    ...{ kind: engine.kind, runner: name, available: !away && engine.available, connected: !away },
    ...(away && { away_since: iso(now - silent_ms) }),
    ...(engine.problem !== null && { problem: engine.problem }),
    ...{ engine: engine.version, labels, version, workspaces: workspaces.length },
  };
}

interface Looked {
  ledger: LedgerStatus;
  workspaces: readonly Workspace[];
  engine: EngineStatus;
  reports: SubmissionStanding;
  standings: readonly SeenStanding[];
  policy: PolicyStanding | null;
  /** Null: there is none. */
  journal: JournalStanding | null;
  /** Who asks is the OS user of this server, and not known by a token. */
  alone: boolean;
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

function statusOf(
  services: Services,
  { ledger, workspaces, engine, reports, standings, policy, journal, alone }: Looked,
) {
  return {
    server: {
      name: 'polycrate-mcp',
      version: services.version,
      timezone: services.zone,
      ...(services.scope === null && { open_here: services.supervisor.open() }),
    },
    workspaces: {
      found: workspaces.length,
      with_problems: workspaces.filter(({ problems }) => problems.length > 0).length,
      ...(services.scope === null && { roots: services.roots }),
    },
    executors: [executorOf(services.settings.executor, engine)],
    ledger: {
      ...(services.scope === null ? ledgerOf(services, ledger) : ledgerWithin(services, ledger)),
      ...(journal && { journal: journalOf(journal, services) }),
    },
    sources: [...coverage(ledger, standings, journal), ...apiSources(reports)],
    policy: policyOf(services, { policy, alone }),
  };
}

function ledgerOf(services: Services, ledger: LedgerStatus): Record<string, unknown> {
  const { newest_at, oldest_at, verification, anchor, anchor_problem, ...stored } = ledger;
  return {
    ...stored,
    newest: iso(newest_at),
    oldest: iso(oldest_at),
    pruning_due: pruningDue(ledger, services),
    verification: verifiedOf(verification),
    trail: trailOf(services.recorder.standing()),
    outside_anchor: anchorOf(anchor, services.clock.now()),
    checkpoint_timer: timerOf(services.anchoring, anchor_problem),
  };
}

/** What stands in for a database that is away; its runs are nobody's in particular. */
function journalOf({ away_since, last_merge, ...counts }: JournalStanding, { scope }: Services): Record<string, unknown> {
  const since = { when_down: counts.when_down, away_since: away_since === null ? null : iso(away_since) };
  if (scope !== null) return since;
  return { ...since, ...counts, last_merge: last_merge && { ...last_merge, at: iso(last_merge.at) } };
} // prettier-ignore

/** For who sees a part of it: that part, and nothing about the whole. */
function ledgerWithin({ scope, recorder }: Services, ledger: LedgerStatus): Record<string, unknown> {
  const { kind, runs, newest_at, oldest_at, writable, problem } = ledger;
  return {
    ...{ kind, writable, runs, newest: iso(newest_at), oldest: iso(oldest_at), only: scope },
    problem: problem && 'the ledger cannot be used as it should; who runs this server sees why',
    trail: recorder.standing().recording ? 'on' : 'off',
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

const BOUNDARY = {
  alone:
    'detection, not a boundary: client, server, ledger and terminal are one OS user, and what that user may do, whatever runs as that user may do as well',
  apart:
    'who asks with a token reaches neither the ledger nor a terminal of this server: a boundary, unless they are its OS user otherwise',
};

function policyOf(
  { settings, runners }: Services,
  { policy: standing, alone }: Pick<Looked, 'policy' | 'alone'>,
): Record<string, unknown> {
  const meaning = {
    'read-only': 'nothing can be run, cancelled or re-triggered',
    ask: 'a human approves each run: through the client, or, at a team server, in place of one that cannot ask',
    policy: 'the rules of a file decide; what none of them names is denied',
    trusted: "the client's own confirmation is enough",
  };
  const { mode, allowed_images, allowed_mounts } = settings.limits;
  return {
    run_mode: mode,
    meaning: meaning[mode],
    ...(mode !== 'read-only' && { approvals_are: alone ? BOUNDARY.alone : BOUNDARY.apart }),
    ...(standing && { file: fileOf(standing) }),
    // Each runner has its own.
    ...(!runners && { allowed_images, allowed_mounts }),
  };
}

/** The policy that decides, and what keeps the file on disk from deciding. */
function fileOf({ loaded_at, waiting, problem, ...standing }: PolicyStanding): Record<string, unknown> {
  return {
    ...standing,
    loaded_at: loaded_at === null ? null : iso(loaded_at),
    problem:
      problem &&
      `${standing.digest === null ? 'nothing runs' : 'the policy loaded before stays in force'}: ${problem}`,
    needs_restart:
      waiting && `the file on disk may allow more (${waiting.why}); a stricter one counts at once`,
  };
}
