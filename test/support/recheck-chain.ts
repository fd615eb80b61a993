import { createHash, createHmac } from 'node:crypto';

/** Rows as they lie in the database; numbers may come as text. */
export interface EventRow {
  seq: string | number;
  at: string | number;
  kind: string;
  run_id: string;
  facts: string;
  commitments: string;
  prev: string;
  hash: string;
}

export interface PrivateRow {
  seq: string | number;
  name: string;
  salt: Buffer;
  value: string;
}

/** What is wrong with a chain, by the text of FORMAT.md alone; empty: nothing. */
export function faultsOf(events: readonly EventRow[], values: readonly PrivateRow[]): string[] {
  const faults: string[] = [];
  let prev = '0'.repeat(64);
  for (const [index, { seq, at, kind, run_id, facts, commitments, ...row }] of events.entries()) {
    if (Number(seq) !== index + 1) faults.push(`${seq} stands at ${index + 1}`);
    if (row.prev !== prev) faults.push(`${seq} does not follow`);
    const bytes = `{"at":${at},"facts":${facts},"format":1,"kind":"${kind}","prev":"${row.prev}","private":${commitments},"run_id":"${run_id}","seq":${seq}}`;
    if (createHash('sha256').update(bytes).digest('hex') !== row.hash) faults.push(`${seq} has another hash`);
    const names = JSON.parse(commitments) as Record<string, string>;
    const own = values.filter((value) => Number(value.seq) === Number(seq));
    for (const { name, salt, value } of own) {
      if (createHmac('sha256', salt).update(value).digest('hex') !== names[name])
        faults.push(`${seq} ${name}`);
    }
    prev = row.hash;
  }
  return faults;
}
