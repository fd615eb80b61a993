import type { Log, LogLevel } from '../../shared/ports.ts';

const ORDER: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/** One JSON line per message on stderr; stdout belongs to the protocol. */
export function createStderrLog(least: LogLevel, redact: <T extends object>(fields: T) => T): Log {
  return (level, message, fields) => {
    if (ORDER[level] < ORDER[least]) return;
    const line = redact({ at: new Date().toISOString(), level, message, ...fields });
    process.stderr.write(`${JSON.stringify(line)}\n`);
  };
}
