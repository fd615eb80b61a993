import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** A workspace as tests write it down. YAML readers take JSON, so files are written as that. */
export interface WorkspaceText {
  name: string;
  organization?: string;
  /** Members of workspace.poly besides name and organization. */
  rest?: Record<string, unknown>;
  /** Block name → block.poly without its name. */
  blocks?: Record<string, Record<string, unknown>>;
  /** Path below the workspace → content. */
  files?: Record<string, string>;
}

/** Writes a workspace to `root/organization/name`, or over what is there, and answers its path. */
export async function writeWorkspace(root: string, text: WorkspaceText): Promise<string> {
  const { name, organization, rest, blocks = {}, files = {} } = text;
  const path = join(root, organization ?? 'none', name);
  await write(path, 'workspace.poly', JSON.stringify({ name, organization, ...rest }));
  for (const [block, content] of Object.entries(blocks)) {
    await write(path, join('blocks', block, 'block.poly'), JSON.stringify({ name: block, ...content }));
  }
  for (const [file, content] of Object.entries(files)) await write(path, file, content);
  return path;
}

async function write(path: string, file: string, content: string): Promise<void> {
  await mkdir(dirname(join(path, file)), { recursive: true });
  await writeFile(join(path, file), content);
  if (content.startsWith('#!')) await chmod(join(path, file), 0o755);
}

/** An action of one script. */
export function script(name: string, ...lines: string[]): Record<string, unknown> {
  return { name, description: `Does ${name}`, script: lines };
}

/** Settings of a server that runs scripts on this host without asking. */
export function localSettings(root: string): Record<string, string> {
  return {
    POLYCRATE_MCP_WORKSPACES: root,
    POLYCRATE_MCP_EXECUTOR: 'local',
    POLYCRATE_MCP_RUN_MODE: 'trusted',
    POLYCRATE_MCP_TIMEZONE: 'Europe/Berlin',
    POLYCRATE_MCP_LOG_LEVEL: 'error',
  };
}
