import { isObject } from '../../shared/json.ts';
import { type Clock } from '../../shared/ports.ts';

const EVERY_MS = 1000;

interface Layer {
  done: boolean;
  current: number;
  total: number;
}

/** Turns the engine's many events per layer into a short line, at most one a second. */
export function createPullProgress(
  progress: (line: string) => void,
  clock: Clock,
): (event: Record<string, unknown>) => void {
  const layers = new Map<string, Layer>();
  let last = '';
  let told = Number.NEGATIVE_INFINITY;

  return (event) => {
    const { id, status } = event;
    if (typeof status !== 'string') return;
    if (typeof id === 'string' && /^[0-9a-f]{12}$/.test(id)) layers.set(id, layerOf(layers.get(id), event));
    const line = layers.size === 0 ? status : sentence([...layers.values()]);
    const now = clock.now();
    if (line === last || now - told < EVERY_MS) return;
    last = line;
    told = now;
    progress(line);
  };
}

function layerOf(before: Layer | undefined, event: Record<string, unknown>): Layer {
  const detail = isObject(event['progressDetail']) ? event['progressDetail'] : {};
  const { current, total } = detail;
  const downloading = event['status'] === 'Downloading';
  return {
    done: event['status'] === 'Pull complete' || event['status'] === 'Already exists',
    current: downloading && typeof current === 'number' ? current : (before?.current ?? 0),
    total: downloading && typeof total === 'number' ? total : (before?.total ?? 0),
  };
}

function sentence(layers: readonly Layer[]): string {
  const done = layers.filter((layer) => layer.done).length;
  const sum = (field: 'current' | 'total'): string =>
    (layers.reduce((bytes, layer) => bytes + layer[field], 0) / 1e6).toFixed(0);
  return `pulling: ${done} of ${layers.length} layers, ${sum('current')} of ${sum('total')} MB`;
}
