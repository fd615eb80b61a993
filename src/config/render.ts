import { COMMANDS } from './command-line.ts';
import type { Verb } from './ledger-verbs.ts';
import { flagOf, SETTINGS, type Setting } from './settings.ts';

const ENTRIES: readonly Setting[] = Object.values(SETTINGS);

/** The settings as a Markdown table, for the README. */
export function settingsTable(): string {
  const rows = ENTRIES.map(
    (entry) => `| \`${entry.variable}\` | ${entry.meaning} ${formOf(entry)} | ${fallbackOf(entry)} |`,
  );
  return ['| variable | meaning | default |', '| --- | --- | --- |', ...rows].join('\n');
}

function formOf(entry: Setting): string {
  return `Valid: ${entry.form}.${entry.secret ? ` Also read from the file named by \`${entry.variable}_FILE\`.` : ''}`;
}

function fallbackOf(entry: Setting): string {
  return entry.fallback ? `\`${entry.fallback}\`` : (entry.unset ?? 'none');
}

/** A file that sets nothing: every setting with its default, commented out. */
export function envExample(): string {
  const head = [
    '# Every setting of polycrate-mcp with its default. Nothing reads this file by itself: copy it, remove the `#`',
    '# of what you change, and name it with --env-file FILE. Variables of the environment win over the file.',
  ];
  const blocks = ENTRIES.map((entry) =>
    [
      `# ${plain(entry.meaning)} Valid: ${plain(entry.form)}.`,
      ...(entry.fallback ? [] : [`# Default: ${entry.unset ?? 'none'}.`]),
      `#${entry.variable}=${entry.fallback ?? ''}`,
    ].join('\n'),
  );
  return `${[head.join('\n'), ...blocks].join('\n\n')}\n`;
}

/** The text of `--help`. */
export function helpText(): string {
  const commands = Object.entries(COMMANDS).flatMap(([name, entry]) => {
    if ('verbs' in entry) return verbLines(name, entry.verbs);
    const own = line(name === 'stdio' ? '(none)' : `${name} ${entry.arguments}`.trim(), entry.meaning);
    return [own, ...('flags' in entry ? flagLines(entry.flags) : [])];
  });
  const settings = ENTRIES.map((entry) => {
    const flag = flagOf(entry);
    const fallback = `Default: ${plain(fallbackOf(entry))}.`;
    return line(
      flag ? `--${flag}` : entry.variable,
      `${plain(entry.meaning)} ${plain(entry.form)}. ${fallback}`,
    );
  });
  return [
    'Usage: polycrate-mcp [COMMAND] [FLAGS]',
    '',
    ...commands,
    '',
    'Settings. A flag --run-mode is the variable POLYCRATE_MCP_RUN_MODE; the flag wins:',
    ...settings,
    line('--env-file', 'A file with such variables; those of the environment win over it.'),
    '',
  ].join('\n');
}

function verbLines(command: string, verbs: Readonly<Record<string, Verb>>): string[] {
  return Object.entries(verbs).flatMap(([verb, { meaning, argument, flags }]) => [
    line([command, verb, argument].join(' ').trim(), meaning),
    ...flagLines(flags),
  ]);
}

function flagLines(flags: Verb['flags']): string[] {
  return Object.entries(flags).map(([flag, { value, meaning }]) =>
    line(`  --${flag}${value === null ? '' : ` ${value}`}`, meaning),
  );
}

function line(name: string, meaning: string): string {
  return `  ${name.padEnd(22)} ${meaning}`;
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '');
}
