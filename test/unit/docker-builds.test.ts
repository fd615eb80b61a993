import { describe, expect, it } from 'vitest';
import { createBuildOnce, type BuildOnce } from '../../src/adapters/docker/builds.ts';
import type { ImageFacts } from '../../src/runs/executor.ts';

const IMAGE: ImageFacts = { digest: 'sha256:1', labels: {}, triggers: false };

/** A builder whose builds end when they are told to. */
function builder(once: BuildOnce = createBuildOnce()) {
  const builds: { say(line: string): Promise<void>; signal: AbortSignal; end(): void; fail(): void }[] = [];
  const ask = () => {
    const lines: string[] = [];
    const abort = new AbortController();
    const image = once(
      'key',
      { say: async (line) => void lines.push(line), signal: abort.signal },
      (parts) => {
        return new Promise((resolve, reject) => {
          builds.push({ ...parts, end: () => resolve(IMAGE), fail: () => reject(new Error('broken')) });
        });
      },
    );
    image.catch(() => undefined);
    return { image, lines, abort };
  };
  return { builds, ask };
}

describe('one build for several runs', () => {
  it('tells all of them how it goes and gives all of them its image', async () => {
    const { builds, ask } = builder();
    const [first, second] = [ask(), ask()];
    expect(builds).toHaveLength(1);
    await builds[0]!.say('step 1');
    builds[0]!.end();
    expect(await Promise.all([first.image, second.image])).toEqual([IMAGE, IMAGE]);
    expect(first.lines).toEqual(['step 1']);
    expect(second.lines).toEqual([expect.stringContaining('under way') as string, 'step 1']);
  });

  it('goes on for those who stay, and is given up by the last', async () => {
    const { builds, ask } = builder();
    const [first, second] = [ask(), ask()];
    first.abort.abort();
    await expect(first.image).rejects.toThrow('no longer waits');
    expect(builds[0]!.signal.aborted).toBe(false);
    second.abort.abort();
    expect(builds[0]!.signal.aborted).toBe(true);
    builds[0]!.fail();
    await expect(second.image).rejects.toThrow('broken');
  });

  it('that was given up is nobody else’s: who comes then starts another one when it has ended', async () => {
    const { builds, ask } = builder();
    const first = ask();
    first.abort.abort();
    const second = ask();
    expect(builds).toHaveLength(1);
    builds[0]!.fail();
    await expect(first.image).rejects.toThrow('broken');
    await expect.poll(() => builds.length).toBe(2);
    builds[1]!.end();
    expect(await second.image).toEqual(IMAGE);
  });

  it('fails for all, and the next request tries again', async () => {
    const { builds, ask } = builder();
    const both = [ask(), ask()];
    builds[0]!.fail();
    for (const { image } of both) await expect(image).rejects.toThrow('broken');
    ask();
    expect(builds).toHaveLength(2);
  });
});
