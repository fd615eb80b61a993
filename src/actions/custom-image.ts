import { canonicalJson, sha256 } from '../shared/json.ts';
import type { DockerfileFacts } from './dockerfile.ts';

/** The Dockerfile of a workspace, and what its build would be given, as it is on disk now. */
export interface CustomImage extends DockerfileFacts {
  /** Path below the workspace. */
  file: string;
  /** SHA-256 of its text. */
  digest: string;
  left_out: readonly string[];
  /** What of the workspace goes to the engine; null: nothing but the file, as it copies nothing. */
  context: { digest: string; files: number; bytes: number } | null;
}

export interface BaseImage {
  reference: string;
  /** The engine's id; null: not there yet. */
  digest: string | null;
}

/** An image that is to be there before an action starts; handed from process to process. */
export interface ImageBuild {
  /** The workspace on this host. */
  root: string;
  dockerfile: string;
  /** SHA-256 of its text, and of its context if there is one: what was planned is what is built. */
  digest: string;
  context: string | null;
  /** Paths below the workspace that stay away from the engine, besides what always does. */
  left_out: readonly string[];
  tag: string;
  bases: readonly BaseImage[];
}

const REPOSITORY = 'polycrate-mcp/custom';
/** Label of a built image: the base images that it was built from. */
export const BASES_LABEL = 'polycrate-mcp.bases';
/** Label of a built image: what it was built of. */
export const CONTENT_LABEL = 'polycrate-mcp.content';

/** Names the content, so that the same files are the same image whoever builds them. */
export function tagOf({ digest, context }: Pick<CustomImage, 'digest' | 'context'>): string {
  return `${REPOSITORY}:${sha256(canonicalJson([digest, context?.digest ?? null]))}`;
}

/** Null: a base image is not there, so nobody knows what it would be built from. */
export function basesDigest(bases: readonly BaseImage[]): string | null {
  if (bases.some(({ digest }) => digest === null)) return null;
  return sha256(canonicalJson(bases.map(({ reference, digest }) => [reference, digest])));
}
