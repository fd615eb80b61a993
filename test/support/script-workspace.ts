import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TEST_IMAGE } from './images.ts';

/** Block name to action name to script. */
export type Scripts = Record<string, Record<string, string>>;

export interface ScriptWorkspace {
  name: string;
  /** The folder that holds the workspace, for POLYCRATE_MCP_WORKSPACES. */
  root: string;
  path: string;
  /** Lets the `counting` of a block end. */
  enough(block: string): Promise<void>;
  /** Text of a file that an action wrote into the workspace; empty where there is none. */
  written(file: string): Promise<string>;
  remove(): Promise<void>;
}

/** How an action leaves one line per execution behind, readable with `written('marks/BLOCK')`. */
export const MARK =
  'mkdir -p "$POLYCRATE_WORKSPACE/marks"; echo ran >> "$POLYCRATE_WORKSPACE/marks/$POLYCRATE_BLOCK"';

/** A workspace of script actions in a fresh folder. */
export async function scriptWorkspace(scripts: Scripts, image = TEST_IMAGE): Promise<ScriptWorkspace> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-mcp-scripts-')));
  const name = 'scripts';
  const path = join(root, name);
  const colon = image.lastIndexOf(':');
  await writeJson(path, 'workspace.poly', {
    name,
    organization: 'tests',
    config: { image: { reference: image.slice(0, colon), version: image.slice(colon + 1) } },
    blocks: Object.keys(scripts).map((block) => ({ name: block })),
  });
  for (const [block, actions] of Object.entries(scripts)) {
    await writeJson(join(path, 'blocks', block), 'block.poly', {
      name: block,
      version: '1.0.0',
      actions: Object.entries(actions).map(([action, script]) => ({ name: action, script: [script] })),
    });
  }
  return {
    name,
    root,
    path,
    async enough(block) {
      await mkdir(join(path, 'enough'), { recursive: true });
      await writeFile(join(path, 'enough', block), '');
    },
    written: (file) => readFile(join(path, file), 'utf8').catch(() => ''),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** The files are YAML, of which JSON is a part. */
async function writeJson(folder: string, file: string, content: unknown): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, file), JSON.stringify(content, null, 2));
}

/** Settings of a server that runs the scripts of a workspace without asking. */
export function trusted({ root }: Pick<ScriptWorkspace, 'root'>, executor: 'docker' | 'local' = 'docker') {
  return {
    POLYCRATE_MCP_WORKSPACES: root,
    POLYCRATE_MCP_RUN_MODE: 'trusted',
    POLYCRATE_MCP_EXECUTOR: executor,
    POLYCRATE_MCP_ALLOWED_IMAGES: 'polycrate-mcp-test/*,127.0.0.1:*',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
  };
}
