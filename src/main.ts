#!/usr/bin/env node
import { helpText, readConfig, VERSION, type LedgerVerb } from './config.ts';
import { AppError, messageOf } from './shared/errors.ts';
import { createRedactor } from './shared/redact/redactor.ts';
import { redactText } from './shared/redact/text.ts';

/** Exit codes: 0 done, 1 failed, 2 wrong settings or arguments; commands may have others of their own. */
async function main(): Promise<number> {
  const { config, warnings, command, verb, args, options, flags } = readConfig();
  // The doctor has places of its own for what others report on stderr.
  if (command !== 'doctor')
    for (const warning of warnings) process.stderr.write(`polycrate-mcp: ${warning}\n`);
  if (command === 'help' || command === 'version') {
    process.stdout.write(command === 'help' ? helpText() : `${VERSION}\n`);
    return 0;
  }
  const { compose } = await import('./compose.ts');
  const app = compose({ config: command === 'doctor' ? { ...config, logLevel: 'error' } : config, flags });
  switch (command) {
    case 'stdio':
      await (await import('./commands/stdio.ts')).stdio(app);
      return 0;
    case 'supervise':
      await (await import('./commands/supervise.ts')).supervise(app);
      return 0;
    case 'doctor':
      return (await (await import('./commands/doctor.ts')).doctor(app, warnings)) ? 0 : 1;
    case 'ledger':
      return (await import('./commands/ledger.ts')).ledger(app, { verb: verb as LedgerVerb, args, options });
    case 'demo':
      await (await import('./commands/demo.ts')).demo(app, (other) => compose({ config: other, flags: [] }));
      return 0;
  }
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    // Messages may quote a setting or a file, and what they are of has no redaction of its own yet.
    const show = (text: string): void =>
      void process.stderr.write(`${redactText(createRedactor([]), text)}\n`);
    show(`polycrate-mcp: ${messageOf(error)}`);
    if (error instanceof AppError && error.next) show(`  ${error.next}`);
    process.exit(error instanceof AppError && error.code === 'configuration' ? 2 : 1);
  },
);
