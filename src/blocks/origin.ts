import { isObject } from '../shared/json.ts';
import { areJoined } from './merge.ts';

type Values = Readonly<Record<string, unknown>>;

/** Where a value was written: one place for all of it, or key by key where several files had a say. */
export type Origin = string | { readonly [key: string]: Origin };

export interface Placed {
  values: Values;
  origin: Origin;
}

/** Goes the way of `mergeValues`: what that takes from one side has that side's origin. */
export function mergeOrigins(child: Placed, parent: Placed): Origin {
  if (Object.keys(child.values).length === 0) return parent.origin;
  const merged: Record<string, Origin> = {};
  for (const key of Object.keys(parent.values)) merged[key] = at(parent.origin, key);
  for (const [key, ours] of Object.entries(child.values)) {
    const theirs = parent.values[key];
    merged[key] = areJoined(ours, theirs)
      ? mergeOrigins(
          { values: ours as Values, origin: at(child.origin, key) },
          { values: theirs as Values, origin: at(parent.origin, key) },
        )
      : at(child.origin, key);
  }
  return merged;
}

function at(origin: Origin, key: string): Origin {
  return typeof origin === 'string' ? origin : (origin[key] ?? '');
}

export function inheritedOrigin(origin: Origin, label: (place: string) => string): Origin {
  if (typeof origin === 'string') return label(origin);
  return Object.fromEntries(
    Object.entries(origin).map(([key, place]) => [key, inheritedOrigin(place, label)]),
  );
}

/** `config.tls.min` → place; a map whose parts all come from one place is one entry. */
export function originsOf({ values, origin }: Placed, path = 'config'): Record<string, string> {
  return Object.assign(
    {},
    ...Object.entries(values).map(([key, value]) => {
      const place = at(origin, key);
      const only = onlyPlace(place);
      const name = `${path}.${key}`;
      return only === null && isObject(value)
        ? originsOf({ values: value, origin: place }, name)
        : { [name]: only };
    }),
  ) as Record<string, string>;
}

function onlyPlace(origin: Origin): string | null {
  if (typeof origin === 'string') return origin;
  const [first = null, ...others] = new Set(Object.values(origin).map(onlyPlace));
  return others.length === 0 ? first : null;
}
