import { BASES_LABEL, basesDigest, type BaseImage, type ImageBuild } from '../actions/custom-image.ts';
import type { LaunchSpec } from '../actions/launch-spec.ts';
import { AppError } from '../shared/errors.ts';
import type { BuildContexts } from './build-context.ts';
import type { Executor } from './executor.ts';
import type { RunLogWriter } from './run-log.ts';
import type { LaunchPacket } from './supervision.ts';

/** In front of each line of a build in the log of its run, so that nobody takes it for output of the action. */
export const BUILD_MARK = '[build] ';

export interface Providing {
  executor: Executor;
  contexts: BuildContexts;
  packet: LaunchPacket;
  signal: AbortSignal;
  /** The log of the run, which tells how the build goes; only where there is one. */
  writer: RunLogWriter | null;
}

/** Sees to the image of a run, and answers what is to be started then. */
export async function provideImage(providing: Providing): Promise<LaunchSpec> {
  const { executor, packet, signal } = providing;
  const { spec, pull, build } = packet;
  if (build) return { ...spec, image: build.tag, image_digest: await provideBuilt(providing, build) };
  if (spec.image === null || pull === 'never') return spec;
  const present = spec.image_digest !== null || (await executor.image(spec.image)) !== null;
  if (pull === 'missing' && present) return spec;
  await executor.pull(spec.image, () => undefined, signal);
  return spec;
}

/** The id of the built image. One that is there, of the same content and the same bases, is not built again. */
async function provideBuilt(providing: Providing, planned: ImageBuild): Promise<string> {
  const { executor, contexts, packet, signal } = providing;
  const say = sayingTo(providing.writer);
  const bases: BaseImage[] = [];
  for (const base of planned.bases) {
    const { reference, digest, triggers } = await provideBase(providing, base, say);
    if (triggers && planned.context === null) throw withTriggers(reference, planned.dockerfile);
    bases.push({ reference, digest });
  }
  const build = { ...planned, bases };
  const found = await executor.image(build.tag);
  if (found?.labels[BASES_LABEL] === basesDigest(bases)) return found.digest;
  if (!executor.build) throw new AppError('refused', `the executor ${executor.kind} builds no images`);
  await say(`building ${build.dockerfile}`);
  const { limits } = packet.spec;
  const entries = (): ReturnType<BuildContexts['entries']> => contexts.entries(build);
  const image = await executor.build({ build, entries, say, signal, limits });
  await say(`built ${image.digest}`);
  return image.digest;
}

type Say = (line: string) => Promise<void>;

function sayingTo(writer: RunLogWriter | null): Say {
  return async (line) => {
    if (writer && !writer.write('stdout', Buffer.from(`${BUILD_MARK}${line}\n`))) await writer.drain();
  };
}

/** Pulled here and not by the builder: with the credentials of the Docker config, and never against the settings. */
async function provideBase(
  { executor, packet, signal }: Providing,
  base: BaseImage,
  say: Say,
): Promise<BaseImage & { triggers: boolean }> {
  const { reference } = base;
  const present = await executor.image(reference);
  if (packet.pull === 'always' || (present === null && packet.pull === 'missing')) {
    await say(`pulling ${reference}`);
    const { digest, triggers } = await executor.pull(
      reference,
      (line) => void say(line).catch(() => undefined),
      signal,
    );
    return { reference, digest, triggers };
  }
  if (present === null) {
    throw new AppError('launch_failed', `The base image ${reference} is not on this engine.`, {
      next: `Pull it, or set POLYCRATE_MCP_PULL to missing: it is never.`,
    });
  }
  if (base.digest !== null && base.digest !== present.digest) {
    throw new AppError('plan_changed', `The base image ${reference} changed after the run was planned.`, {
      next: 'Call plan_action again.',
    });
  }
  return { reference, digest: present.digest, triggers: present.triggers };
}

/** They may copy files, and a Dockerfile that copies nothing gets none: the image would lack them without a word. */
function withTriggers(reference: string, dockerfile: string): AppError {
  return new AppError(
    'launch_failed',
    `The base image ${reference} has ONBUILD triggers, which may copy files.`,
    {
      next: `Write a COPY into ${dockerfile}, so that the files of the workspace are sent.`,
    },
  );
}
