import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** Starts a script that answers one line of JSON with another, and then waits to be killed. */
export async function askChild<T>(args: readonly string[], question: unknown): Promise<{ answer: T; kill(): Promise<void> }> {
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const line = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
  child.stdin.write(`${JSON.stringify(question)}\n`);
  const answer = JSON.parse((await line)[0]) as T;
  return {
    answer,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
} // prettier-ignore
