import type Docker from 'dockerode';
import { AppError } from '../../shared/errors.ts';
import { type Execution } from '../../runs/executor.ts';
import { inspect } from './container-state.ts';
import { holdContainer } from './execution.ts';
import { createLogMeter, mayHaveLostHead } from './log-meter.ts';
import { type OutputOptions } from './output.ts';

/** Takes over a container whose supervisor is gone; its log is read from the first byte the engine still has. */
export async function adoptContainer(
  container: Docker.Container,
  options: OutputOptions,
): Promise<Execution> {
  const facts = await inspect(container, options.patience);
  // `wait` would call it a success at once.
  if (facts?.State.Status === 'created') {
    throw new AppError('internal', 'A container that was never started cannot be adopted.', {
      next: 'removeUnstarted decides whether it starts.',
    });
  }
  const meter = createLogMeter();
  const { sink } = options;
  const metered: OutputOptions = {
    ...options,
    sink: {
      write: (stream, bytes) => {
        meter.add(bytes);
        return sink.write(stream, bytes);
      },
      drain: () => sink.drain(),
    },
  };
  const held = await holdContainer(container, null, metered);
  const limits = facts?.HostConfig.LogConfig?.Config as Record<string, string> | undefined;
  const ending = held.ending.then((end) =>
    mayHaveLostHead(meter.stored(), limits) ? { ...end, output_incomplete: true } : end,
  );
  ending.catch(() => undefined);
  return { ...held, ending };
}
