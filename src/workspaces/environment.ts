import type { Block } from '../blocks/block.ts';
import type { Environment } from './workspace.ts';

const KEYS = ['environment', 'env'] as const;

/**
 * A label of the workspace says it best, then the operator's map, then the blocks, if all that name an
 * environment name the same one. Templates never run and do not count.
 */
export function environmentOf(facts: {
  labels: Readonly<Record<string, string>>;
  configured: string | null;
  blocks: readonly Block[];
}): Environment | null {
  const label = fromLabels(facts.labels);
  if (label !== null) return { value: label, origin: 'label' };
  if (facts.configured !== null) return { value: facts.configured, origin: 'configured' };
  const stated = new Set(facts.blocks.filter((block) => !block.template).flatMap(fromConfig));
  const [only, ...others] = stated;
  return only !== undefined && others.length === 0 ? { value: only, origin: 'block_config' } : null;
}

/** `environment`, `env`, or a key that ends in `/environment`; the CLI ignores the case of label keys. */
function fromLabels(labels: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(labels).filter(([, value]) => value.trim() !== '');
  const named = (matches: (key: string) => boolean): string | undefined =>
    entries.find(([key]) => matches(key.toLowerCase()))?.[1].trim();
  return (
    named((key) => key === 'environment') ??
    named((key) => key === 'env') ??
    named((key) => key.endsWith('/environment')) ??
    null
  );
}

function fromConfig(block: Block): string[] {
  for (const key of KEYS) {
    const value = Object.hasOwn(block.config, key) ? block.config[key] : undefined;
    if (typeof value === 'string' && value.trim() !== '') return [value.trim()];
  }
  return [];
}
