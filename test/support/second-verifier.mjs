// A second verifier of ledgers, written from src/runs/FORMAT.md alone. It shares no code with the program.
//   node second-verifier.mjs LEDGER.db [CHECKPOINT.json PUBLIC-KEY.pem]
import { createHash, createHmac, createPublicKey, verify as verifySignature } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';

const ZEROS = '0'.repeat(64);

/** Faults of chain and private values, each {what, seq}; and of the checkpoint, if one is given. */
export function verifyLedger(file, checkpoint, publicKeyPem) {
  const db = new Database(file, { readonly: true });
  try {
    const faults = [];
    const hashes = [];
    let before = { seq: 0, hash: ZEROS };
    for (const row of db.prepare('SELECT * FROM events ORDER BY seq').all()) {
      if (row.seq !== before.seq + 1) faults.push({ what: 'number', seq: before.seq + 1 });
      if (row.prev !== before.hash) faults.push({ what: 'prev', seq: row.seq });
      if (hashOf(row) !== row.hash) faults.push({ what: 'hash', seq: row.seq });
      faults.push(...privateFaults(db, row));
      hashes.push(row.hash);
      before = row;
    }
    const strays = db
      .prepare('SELECT DISTINCT seq FROM event_private WHERE seq NOT IN (SELECT seq FROM events)')
      .all();
    faults.push(...strays.map(({ seq }) => ({ what: 'added', seq })));
    if (checkpoint) {
      const ledger = db.prepare("SELECT value FROM meta WHERE name = 'ledger'").get().value;
      faults.push(...checkpointFaults({ checkpoint, publicKeyPem, ledger, hashes }));
    }
    return faults;
  } finally {
    db.close();
  }
}

export function hashOf(row) {
  const facts = spelledCanonically(row.facts);
  const commitments = spelledCanonically(row.commitments);
  if (!facts || !commitments || !Number.isInteger(row.at)) return null;
  return sha256(
    canonical({
      format: 1,
      seq: row.seq,
      at: row.at,
      kind: row.kind,
      run_id: row.run_id,
      facts,
      private: commitments,
      prev: row.prev,
    }),
  );
}

function privateFaults(db, { seq, commitments: text }) {
  const commitments = spelledCanonically(text) ?? {};
  const rows = db.prepare('SELECT * FROM event_private WHERE seq = ?').all(seq);
  return rows.flatMap(({ name, salt, value }) => {
    if (!(name in commitments)) return [{ what: 'added', seq }];
    const right = createHmac('sha256', salt).update(value, 'utf8').digest('hex');
    return right === commitments[name] ? [] : [{ what: 'private', seq }];
  });
}

/** The object, or null if the text is no object or is spelt otherwise than it must be. */
export function spelledCanonically(text) {
  try {
    const value = JSON.parse(text);
    return canonical(value) === text && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

export function canonical(value) {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return '[' + value.map(canonical).join(',') + ']';
  // Without a comparison function, sort() goes by UTF-16 code units.
  const names = Object.keys(value).sort();
  return '{' + names.map((name) => JSON.stringify(name) + ':' + canonical(value[name])).join(',') + '}';
}

function checkpointFaults({ checkpoint, publicKeyPem, ledger, hashes }) {
  const { signature, ...rest } = checkpoint;
  const key = createPublicKey(publicKeyPem);
  const der = key.export({ type: 'spki', format: 'der' });
  const { size } = checkpoint;
  const right = {
    members: Object.keys(checkpoint).sort().join() === 'at,format,head,key_id,ledger,root,signature,size',
    format: checkpoint.format === 'polycrate-mcp checkpoint 1',
    key_id: checkpoint.key_id === sha256(der),
    signature: verifySignature(
      null,
      Buffer.from(canonical(rest), 'utf8'),
      key,
      Buffer.from(signature, 'base64'),
    ),
    ledger: checkpoint.ledger === ledger,
    size: size <= hashes.length,
    head: checkpoint.head === (size === 0 ? ZEROS : hashes[size - 1]),
    root: size <= hashes.length && checkpoint.root === rootOf(hashes.slice(0, size)).toString('hex'),
  };
  return Object.keys(right)
    .filter((name) => !right[name])
    .map((name) => ({ what: `checkpoint ${name}`, seq: size }));
}

/** `proof`: {hash, index, size, path}. */
export function isIncluded(proof, root) {
  const { hash, index, size, path } = proof;
  if (!(index >= 0 && index < size)) return false;
  const left = [...path];
  const up = (from, to) => {
    if (to - from === 1) return leaf(hash);
    const middle = from + largestPowerBelow(to - from);
    const own = index < middle ? up(from, middle) : up(middle, to);
    if (left.length === 0) return Buffer.alloc(32);
    const sibling = Buffer.from(left.shift(), 'hex');
    return index < middle ? node(own, sibling) : node(sibling, own);
  };
  return up(0, size).toString('hex') === root && left.length === 0;
}

export function rootOf(hashes) {
  if (hashes.length === 0) return createHash('sha256').digest();
  if (hashes.length === 1) return leaf(hashes[0]);
  const k = largestPowerBelow(hashes.length);
  return node(rootOf(hashes.slice(0, k)), rootOf(hashes.slice(k)));
}

function largestPowerBelow(n) {
  return 2 ** Math.floor(Math.log2(n - 1));
}

function leaf(hash) {
  return digest(Buffer.concat([Buffer.of(0), Buffer.from(hash, 'hex')]));
}

function node(left, right) {
  return digest(Buffer.concat([Buffer.of(1), left, right]));
}

function digest(bytes) {
  return createHash('sha256').update(bytes).digest();
}

function sha256(bytes) {
  return digest(bytes).toString('hex');
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [ledger, checkpoint, key] = process.argv.slice(2);
  const anchor = checkpoint && JSON.parse(readFileSync(checkpoint, 'utf8'));
  const faults = verifyLedger(ledger, anchor, key && readFileSync(key, 'utf8'));
  for (const { what, seq } of faults) console.log(`event ${seq}: ${what}`);
  console.log(faults.length === 0 ? 'in order' : `${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 3;
}
