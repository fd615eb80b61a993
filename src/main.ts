#!/usr/bin/env node
import { helpText, readConfig, VERSION, type LedgerVerb } from './config.ts';
import { AppError, messageOf } from './shared/errors.ts';

/** Exit codes: 0 done, 1 failed, 2 wrong settings or arguments; commands may have others of their own. */
async function main(): Promise<number | void> {
  const { config, warnings, command, verb, options, flags } = readConfig();
  for (const warning of warnings) process.stderr.write(`polycrate-mcp: ${warning}\n`);
  if (command === 'help') return void process.stdout.write(helpText());
  if (command === 'version') return void process.stdout.write(`${VERSION}\n`);
  const { compose } = await import('./compose.ts');
  const app = compose({ config, flags });
  if (command === 'stdio') await (await import('./commands/stdio.ts')).stdio(app);
  if (command === 'supervise') await (await import('./commands/supervise.ts')).supervise(app);
  if (command === 'ledger') {
    return await (await import('./commands/ledger.ts')).ledger(app, { verb: verb as LedgerVerb, options });
  }
  if (command === 'demo') {
    await (await import('./commands/demo.ts')).demo(app, (other) => compose({ config: other, flags: [] }));
  }
}

main().then(
  (code) => process.exit(code ?? 0),
  (error: unknown) => {
    process.stderr.write(`polycrate-mcp: ${messageOf(error)}\n`);
    if (error instanceof AppError && error.next) process.stderr.write(`  ${error.next}\n`);
    process.exit(error instanceof AppError && error.code === 'configuration' ? 2 : 1);
  },
);
