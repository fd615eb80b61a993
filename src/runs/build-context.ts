import type { ImageBuild } from '../actions/custom-image.ts';

/** A file on its way to the engine. */
export interface ContextEntry {
  /** Path below the workspace, `/`-separated. */
  name: string;
  kind: 'file' | 'executable' | 'link';
  size: number;
  /** What a link points to; followed by nobody here. */
  target: string | null;
  content(): AsyncIterable<Uint8Array>;
}

/** Files of a workspace for the build of its image, without what is secret. */
export interface BuildContexts {
  /** Throws `plan_changed` at the end if what was read is not what was planned. */
  entries(build: ImageBuild): AsyncIterable<ContextEntry>;
}
