import type { ActionRun } from '../runs/action-run.ts';
import type { BlockVersion } from '../history/versions.ts';
import { iso, userOf } from './present-run.ts';

/** A run where only this matters of it. */
export function briefRun(run: ActionRun | null): Record<string, unknown> | null {
  return run && { at: iso(run.started_at), run_id: run.id, action: run.action, user: userOf(run) };
}

/** As versions are told in answers: with the app version where there is one. */
export function versionOf({ version, app_version }: BlockVersion): Record<string, unknown> {
  return { version, ...(app_version !== null && { app_version }) };
}

/** What is different from the run before of the same block; null: nothing that a record tells. */
export function transitionOf(run: ActionRun, previous: ActionRun | null): Record<string, unknown> | null {
  if (!previous) return null;
  const pairs = {
    block_version: [previous.block_version, run.block_version],
    app_version: [previous.app_version, run.app_version],
    config: [short(previous.pins?.config), short(run.pins?.config)],
    commit: [short(previous.workspace_commit), short(run.workspace_commit)],
    image: [short(previous.executor?.image_digest), short(run.executor?.image_digest)],
  };
  const changed = Object.entries(pairs).filter(([, [from, to]]) => from !== to && to !== null);
  if (changed.length === 0) return null;
  return { ...Object.fromEntries(changed.map(([name, [from, to]]) => [name, { from, to }])), previous_run: previous.id };
} // prettier-ignore

/** Enough of a digest to see that two differ. */
function short(digest: string | null | undefined): string | null {
  return digest ? digest.replace(/^sha256:/, '').slice(0, 12) : null;
}
