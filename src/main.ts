#!/usr/bin/env node
import {
  helpText,
  readConfig,
  VERSION,
  type KeyVerb,
  type LedgerVerb,
  type MirrorVerb,
  type OutboxVerb,
} from './config.ts';
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
  const { compose, composeRunner } = await import('./compose.ts');
  if (command === 'runner' || options['for-runner'] === 'true') {
    const app = composeRunner({ config, flags });
    if (command === 'runner') await (await import('./commands/runner.ts')).runner(app);
    else await (await import('./commands/supervise.ts')).supervise({ ...app, submitter: null });
    return 0;
  }
  const app = compose({
    config: command === 'doctor' ? { ...config, logLevel: 'error' } : config,
    flags,
    executes: command !== 'serve' || options['with-runner'] === 'true',
  });
  switch (command) {
    case 'stdio':
      await (await import('./commands/stdio.ts')).stdio(app);
      return 0;
    case 'supervise':
      await (await import('./commands/supervise.ts')).supervise(app);
      return 0;
    case 'doctor':
      return (await (await import('./commands/doctor.ts')).doctor(app, warnings)) ? 0 : 1;
    case 'serve':
      await (await import('./commands/serve.ts')).serve(app, options);
      return 0;
    case 'keys':
      await (await import('./commands/keys.ts')).keys(app, { verb: verb as KeyVerb, args, options });
      return 0;
    case 'ledger':
      return (await import('./commands/ledger.ts')).ledger(app, { verb: verb as LedgerVerb, args, options });
    case 'approvals':
      await (await import('./commands/approvals.ts')).approvals(app);
      return 0;
    case 'approve':
    case 'deny':
      await (
        await import('./commands/approvals.ts')
      ).answer(app, command === 'approve' ? 'approved' : 'declined', { args, options });
      return 0;
    case 'outbox':
      return (await import('./commands/outbox.ts')).outbox(app, { verb: verb as OutboxVerb, options });
    case 'mirror':
      return (await import('./commands/mirror.ts')).mirror(app, { verb: verb as MirrorVerb, options });
    case 'policy':
      return (await import('./commands/policy.ts')).policyTest(app, args[0]!, options);
    case 'history':
      return await (await import('./commands/history-import.ts')).historyImport(app);
    case 'demo':
      await (
        await import('./commands/demo.ts')
      ).demo(app, (other) => compose({ config: other, flags: [], executes: true }));
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
