import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { App } from '../compose.ts';
import type { Config } from '../config.ts';
import { messageOf } from '../shared/errors.ts';
import { choosePlace, type Place } from './demo/place.ts';
import * as render from './demo/render.ts';
import { homeIn, openSession, workspacesIn } from './demo/session.ts';
import { tellStory } from './demo/story.ts';
import { tidy } from './demo/tidy.ts';
import { writeExample } from './demo/workspace.ts';

/**
 * A tour for people: the real server on an example of its own, which is gone afterwards. `wire` composes further
 * parts for other settings. Throws if a step fails or somebody interrupts.
 */
export async function demo(
  { config, supervision }: Pick<App, 'config' | 'supervision'>,
  wire: (config: Config) => App,
): Promise<void> {
  const place = await choosePlace({ config, executors: supervision.executor });
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'polycrate-mcp-demo-')));
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort();
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  // A reader that has seen enough (`| head`) ends the story like Ctrl-C.
  process.stdout.on('error', interrupt);
  try {
    await perform({ config, place, folder }, interruption.signal);
  } catch (error) {
    throw new Error(
      interruption.signal.aborted ? 'the demo was interrupted' : `the demo failed: ${messageOf(error)}`,
    );
  } finally {
    await tidy(wire({ ...config, home: homeIn(folder) }), folder).finally(() =>
      rm(folder, { recursive: true, force: true }),
    );
  }
  write(`\n${render.paragraph(`${folder} held the example, its ledger and its logs, and is removed.`)}`);
  write(
    render.paragraph(
      "Next: 'polycrate-mcp doctor' looks at your own settings, and README.md tells how to connect a client.",
    ),
  );
}

function write(text: string): void {
  process.stdout.write(text);
}

interface Stage {
  config: Config;
  place: Place;
  folder: string;
}

async function perform({ config, place, folder }: Stage, interrupted: AbortSignal): Promise<void> {
  const paint = render.painter(process.stdout.isTTY && process.stdout.hasColors());
  write(render.title(paint, 'polycrate-mcp: a short tour'));
  write(
    render.paragraph(
      'A server of this program is started with a workspace and a ledger of its own. What an assistant calls over MCP is marked with →, below it stands what the answer says.',
    ),
  );
  write(render.paragraph(`Actions run ${place.why}.`));
  await writeExample(workspacesIn(folder));
  const session = await openSession({ config, folder, place, onAsk: answerQuestions(paint) });
  const close = (): void => void session.close();
  interrupted.addEventListener('abort', close, { once: true });
  try {
    if (!interrupted.aborted) await tellStory({ session, paint, write });
  } finally {
    interrupted.removeEventListener('abort', close);
    await session.close();
  }
  interrupted.throwIfAborted();
}

/** Plays the human; each kind of question is shown in full once. */
function answerQuestions(paint: render.Paint): (question: string) => boolean {
  const seen = new Set<string>();
  return (question) => {
    const kind = question.split('\n')[0] ?? '';
    write(
      seen.has(kind)
        ? render.questionLine(paint, question, 'yes')
        : render.questionBox(paint, question, 'yes (the demo does so here; the model cannot)'),
    );
    seen.add(kind);
    return true;
  };
}
