import type * as Driver from 'pg';

/** The driver, loaded when first needed. */
export function loadDriver(): Promise<typeof Driver> {
  return import('pg');
}
