import {
  BASES_LABEL,
  basesDigest,
  tagOf,
  type BaseImage,
  type CustomImage,
} from '../actions/custom-image.ts';
import { readDockerfile } from '../actions/dockerfile.ts';
import type { PlannedImage } from '../actions/plan.ts';
import { AppError } from '../shared/errors.ts';
import { sha256 } from '../shared/json.ts';
import type { Workspace } from '../workspaces/workspace.ts';
import type { WorkspaceStore } from '../workspaces/workspace-store.ts';
import type { Executor } from './executor.ts';
import type { RunSettings } from './prepare.ts';

interface Ports {
  store: Pick<WorkspaceStore, 'dockerfile'>;
  executor: Pick<Executor, 'kind' | 'image'>;
  settings: Pick<RunSettings, 'image' | 'default_image'>;
}

export interface ImagePlan {
  image: PlannedImage | null;
  /** Also where the CLI builds it. */
  custom: CustomImage | null;
  /** Set where the engine could not be asked. */
  problem: AppError | null;
}

/** The image that an action would start in: one built from the workspace's Dockerfile, else one by its name. */
export async function planImage(ports: Ports, workspace: Workspace): Promise<ImagePlan> {
  if (ports.executor.kind === 'local') return { image: null, custom: null, problem: null };
  const custom = await customImage(ports.store, workspace);
  if (ports.executor.kind === 'cli') return { image: null, custom, problem: null };
  try {
    const image = custom ? await builtImage(ports, custom) : await namedImage(ports, workspace);
    return { image, custom, problem: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const bases = custom?.images.map((reference) => ({ reference, digest: null })) ?? [];
    const image = custom
      ? ofBuild(custom, bases, null)
      : { ...nameOf(workspace, ports.settings), digest: null };
    return { image, custom, problem: error };
  }
}

async function customImage(store: Ports['store'], workspace: Workspace): Promise<CustomImage | null> {
  const found = await store.dockerfile(workspace);
  if (!found) return null;
  const { file, text, left_out } = found;
  const facts = readDockerfile(text);
  // A file that copies nothing gets nothing, and is not built again whenever something in the workspace changes.
  const context = facts.reads_context && facts.problem === null ? await found.context() : null;
  return { ...facts, file, left_out, digest: sha256(text), context };
}

async function builtImage({ executor }: Ports, custom: CustomImage): Promise<PlannedImage> {
  const bases: BaseImage[] = [];
  for (const reference of custom.problem === null ? custom.images : []) {
    bases.push({ reference, digest: (await executor.image(reference))?.digest ?? null });
  }
  const found = await executor.image(tagOf(custom));
  const known = found !== null && found.labels[BASES_LABEL] === basesDigest(bases);
  return ofBuild(custom, bases, known ? found.digest : null);
}

function ofBuild(custom: CustomImage, bases: readonly BaseImage[], digest: string | null): PlannedImage {
  const { file, context } = custom;
  const build = { dockerfile: file, digest: custom.digest, context, bases, cached: digest !== null };
  return { reference: tagOf(custom), digest, chosen_by: file, build };
}

async function namedImage({ executor, settings }: Ports, workspace: Workspace): Promise<PlannedImage> {
  const named = nameOf(workspace, settings);
  return { ...named, digest: (await executor.image(named.reference))?.digest ?? null };
}

/** The workspace's, else the operator's, else the CLI's own. */
function nameOf(
  { config }: Workspace,
  settings: Ports['settings'],
): Pick<PlannedImage, 'reference' | 'chosen_by'> {
  if (config.image !== null) return { reference: config.image, chosen_by: 'workspace.poly config.image' };
  if (settings.image !== null) return { reference: settings.image, chosen_by: 'POLYCRATE_MCP_IMAGE' };
  return { reference: settings.default_image, chosen_by: 'default of this release' };
}
