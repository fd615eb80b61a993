import type { Problem } from '../../blocks/block.ts';
import type { App } from '../../compose.ts';
import { addressOf, type Workspace } from '../../workspaces/workspace.ts';
import { ok, plural, problem, warning, type Finding } from './finding.ts';

const MOST_SHOWN = 5;

type Parts = Pick<App, 'services'>;

/** The configured folders, and every workspace in them with its first problems. */
export async function checkWorkspaces({ services }: Parts): Promise<Finding[]> {
  const { store, roots } = services;
  const folders = (await store.problems()).map(({ file, message }) =>
    problem(`folder of workspaces ${file} ${message}`, {
      fix: 'create it, or name other folders in POLYCRATE_MCP_WORKSPACES',
    }),
  );
  if (folders.length === roots.length) return folders;
  const workspaces = await store.list();
  if (workspaces.length > 0) return [...folders, ...workspaces.map(describe)];
  const nothing = warning(`no workspace.poly was found in ${roots.join(', ')}`, {
    fix: 'name workspaces, or folders of workspaces, in POLYCRATE_MCP_WORKSPACES',
  });
  return [...folders, nothing];
}

function describe(workspace: Workspace): Finding {
  const { blocks, environment, problems, runnable, path } = workspace;
  const text = `workspace ${addressOf(workspace)} (${environment?.value ?? 'no environment'}), ${plural(blocks.length, 'block') ?? 'no blocks'}: ${path}`;
  const errors = problems.filter(({ severity }) => severity === 'error');
  const details = problemLines(problems);
  if (errors.length > 0) {
    return problem(`${text}: ${plural(errors.length, 'error')}`, { details, fix: 'mend these files' });
  }
  if (!runnable) {
    return warning(`${text} is only the current folder, so it runs nothing`, {
      details,
      fix: 'name it in POLYCRATE_MCP_WORKSPACES',
    });
  }
  return problems.length > 0
    ? warning(`${text}: ${plural(problems.length, 'warning')}`, { details })
    : ok(text);
}

/** Errors first. */
function problemLines(problems: readonly Problem[]): string[] {
  const sorted = [...problems].sort((a, b) => a.severity.localeCompare(b.severity));
  const lines = sorted
    .slice(0, MOST_SHOWN)
    .map(
      ({ severity, file, line, message }) =>
        `${severity}: ${file}${line === null ? '' : `:${line}`}: ${message}`,
    );
  return problems.length > MOST_SHOWN ? [...lines, `and ${problems.length - MOST_SHOWN} more`] : lines;
}
