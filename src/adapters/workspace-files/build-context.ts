import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageBuild } from '../../actions/custom-image.ts';
import type { BuildContexts, ContextEntry } from '../../runs/build-context.ts';
import { AppError } from '../../shared/errors.ts';
import { sha256 } from '../../shared/json.ts';
import { contextFiles, leftOut, type ContextFile } from './context-files.ts';
import { containedPath } from './contained.ts';
import { readRegular } from './open-file.ts';
import type { BuildFile } from '../../workspaces/workspace-store.ts';
import type { Workspace } from '../../workspaces/workspace.ts';

const CHUNK = 256 * 1024;
const MAX_DOCKERFILE_BYTES = 256 * 1024;
const MAX_BYTES = 512 * 1024 * 1024;

/** Null: the workspace has no Dockerfile. Refuses one outside of it. */
export async function buildFileOf(workspace: Workspace): Promise<BuildFile | null> {
  const { path } = workspace;
  const file = workspace.config.dockerfile;
  const text = await dockerfileOf(path, file);
  if (text === null) return null;
  const left_out = leftOut(workspace);
  return {
    file,
    text,
    left_out,
    context: async () => digestOf(path, await contextFiles(path, { dockerfile: file, left_out })),
  };
}

async function digestOf(
  root: string,
  files: readonly ContextFile[],
): Promise<{ digest: string; files: number; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const entry of readEntries(root, files, hash)) {
    for await (const chunk of entry.content()) bytes += chunk.length;
  }
  return { digest: hash.digest('hex'), files: files.length, bytes };
}

export const buildContexts: BuildContexts = {
  async *entries(build) {
    const text = await dockerfileOf(build.root, build.dockerfile);
    if (text === null || sha256(text) !== build.digest) throw changed(build);
    yield {
      name: build.dockerfile,
      kind: 'file',
      size: Buffer.byteLength(text),
      target: null,

      async *content() {
        yield Buffer.from(text);
      },
    };
    if (build.context === null) return;
    const hash = createHash('sha256');
    yield* readEntries(build.root, await contextFiles(build.root, build), hash);
    if (hash.digest('hex') !== build.context) throw changed(build);
  },
};

function changed({ dockerfile }: Pick<ImageBuild, 'dockerfile'>): AppError {
  return new AppError(
    'plan_changed',
    `${dockerfile} or files that it copies changed after they were planned.`,
    {
      next: 'Call plan_action again.',
    },
  );
}

async function dockerfileOf(root: string, file: string): Promise<string | null> {
  const path = await containedPath(root, file);
  if (path === null) return null;
  const read = await readRegular(path, MAX_DOCKERFILE_BYTES);
  if (read.outcome === 'read') return Buffer.from(read.bytes).toString('utf8');
  const what = read.outcome === 'too_large' ? 'is too large' : 'is not a regular file';
  throw new AppError('broken_definition', `${file} ${what}.`);
}

/** Each content has to be read before the next entry is asked for: the digest is over what was handed out. */
async function* readEntries(
  root: string,
  files: readonly ContextFile[],
  hash: Hash,
): AsyncGenerator<ContextEntry> {
  let budget = MAX_BYTES;
  for (const { name, kind } of files) {
    const path = join(root, name);
    if (kind === 'link') {
      const target = await readlink(path);
      hash.update(`${JSON.stringify([name, 'link', target])}\n`);
      yield { name, kind, size: 0, target, async *content() {} };
      continue;
    }
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const facts = await handle.stat();
      const mode = (facts.mode & 0o111) === 0 ? 'file' : 'executable';
      budget -= facts.size;
      if (budget < 0) throw tooLarge(`more than ${MAX_BYTES / 1024 / 1024} MiB`);
      hash.update(`${JSON.stringify([name, mode, facts.size])}\n`);
      yield {
        name,
        kind: mode,
        size: facts.size,
        target: null,
        async *content() {
          for (let at = 0; at < facts.size;) {
            const buffer = Buffer.allocUnsafe(Math.min(CHUNK, facts.size - at));
            const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
            if (bytesRead === 0)
              throw new AppError('plan_changed', `${name} became shorter while it was read.`);
            const chunk = buffer.subarray(0, bytesRead);
            hash.update(chunk);
            at += bytesRead;
            yield chunk;
          }
        },
      };
    } finally {
      await handle.close();
    }
  }
}

function tooLarge(what: string): AppError {
  return new AppError('refused', `The build context holds ${what}.`, {
    next: 'Name what the image does not need in .dockerignore.',
  });
}
