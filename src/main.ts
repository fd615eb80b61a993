#!/usr/bin/env node
import { helpText, readConfig, VERSION } from './config.ts';
import { AppError, messageOf } from './shared/errors.ts';

/** Exit codes: 0 done, 1 failed, 2 wrong settings or arguments. */
async function main(): Promise<void> {
  const { config, warnings, command, flags } = readConfig();
  // The doctor has places of its own for what others report on stderr.
  if (command !== 'doctor')
    for (const warning of warnings) process.stderr.write(`polycrate-mcp: ${warning}\n`);
  if (command === 'help') return void process.stdout.write(helpText());
  if (command === 'version') return void process.stdout.write(`${VERSION}\n`);
  const { compose } = await import('./compose.ts');
  const app = compose({ config: command === 'doctor' ? { ...config, logLevel: 'error' } : config, flags });
  if (command === 'stdio') await (await import('./commands/stdio.ts')).stdio(app);
  if (command === 'supervise') await (await import('./commands/supervise.ts')).supervise(app);
  if (command === 'doctor') {
    process.exitCode = (await (await import('./commands/doctor.ts')).doctor(app, warnings)) ? 0 : 1;
  }
  if (command === 'demo') {
    await (await import('./commands/demo.ts')).demo(app, (other) => compose({ config: other, flags: [] }));
  }
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`polycrate-mcp: ${messageOf(error)}\n`);
    if (error instanceof AppError && error.next) process.stderr.write(`  ${error.next}\n`);
    process.exit(error instanceof AppError && error.code === 'configuration' ? 2 : 1);
  },
);
