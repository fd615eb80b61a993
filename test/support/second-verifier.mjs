// A second verifier of ledgers, written from src/ledger/FORMAT.md alone. It shares no code with the program.
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
    const pruning = pruningOf(db);
    faults.push(...pruningFaults({ db, pruning, publicKeyPem }));
    const hashes = [];
    let before = pruning ? { seq: pruning.size, hash: pruning.head } : { seq: 0, hash: ZEROS };
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
    if (missingValues(db) > erasedValues(db)) faults.push({ what: 'erased in silence', seq: 0 });
    faults.push(...callFaults(db));
    faults.push(...mirrorFaults(db));
    if (checkpoint) {
      const ledger = db.prepare("SELECT value FROM meta WHERE name = 'ledger'").get().value;
      faults.push(...checkpointFaults({ checkpoint, publicKeyPem, ledger, hashes, pruning }));
    }
    return faults;
  } finally {
    db.close();
  }
}

function missingValues(db) {
  const committed = db.prepare('SELECT commitments FROM events').pluck().all();
  const promised = committed.reduce(
    (sum, text) => sum + Object.keys(spelledCanonically(text) ?? {}).length,
    0,
  );
  return promised - db.prepare('SELECT count(*) FROM event_private').pluck().get();
}

function erasedValues(db) {
  const facts = db.prepare("SELECT facts FROM events WHERE kind = 'person_erased'").pluck().all();
  return facts.reduce((sum, text) => sum + (spelledCanonically(text)?.values ?? 0), 0);
}

/** The facts of the newest event that says so; null: nothing was pruned. */
function pruningOf(db) {
  const newest = "SELECT facts FROM events WHERE kind = 'ledger_pruned' ORDER BY seq DESC LIMIT 1";
  const row = db.prepare(newest).get();
  const facts = row ? spelledCanonically(row.facts) : null;
  const isWhole = facts && Array.isArray(facts.frontier) && facts.rollups && facts.signature;
  return isWhole ? facts : null;
}

function pruningFaults({ db, pruning, publicKeyPem }) {
  const rows = db.prepare('SELECT * FROM rollups').all();
  if (!pruning) return rows.length === 0 ? [] : [{ what: 'rollups', seq: 0 }];
  const columns =
    'day kind organization workspace environment block block_version action status runs launched duration_ms';
  const lines = rows.map((row) => JSON.stringify(columns.split(' ').map((name) => row[name])) + '\n').sort();
  const { rollups, frontier, size, root, head } = pruning;
  const right = {
    rollups:
      rollups.digest === sha256(lines.join('')) &&
      rollups.rows === rows.length &&
      rollups.runs === rows.reduce((sum, { runs }) => sum + runs, 0),
    'pruned tree': growingTree(size, frontier).root() === root,
    'pruned head': /^[0-9a-f]{64}$/.test(head),
  };
  if (publicKeyPem) {
    const { signature, ...rest } = pruning;
    const bytes = Buffer.from(canonical(rest), 'utf8');
    const key = createPublicKey(publicKeyPem);
    right['pruning signature'] = verifySignature(null, bytes, key, Buffer.from(signature, 'base64'));
    right['pruning ledger'] =
      pruning.ledger === db.prepare("SELECT value FROM meta WHERE name = 'ledger'").get().value;
  }
  return Object.keys(right)
    .filter((name) => !right[name])
    .map((name) => ({ what: name, seq: size }));
}

/** A tree of which only the complete subtrees are known, largest first, one for each bit of its size. */
function growingTree(size, frontier) {
  let subtrees = [...frontier].map((hex) => Buffer.from(hex, 'hex'));
  let count = size;
  return {
    add(hash) {
      let tree = leaf(hash);
      for (let bit = 1; count & bit; bit <<= 1) tree = node(subtrees.pop(), tree);
      subtrees.push(tree);
      count += 1;
    },
    root() {
      if (subtrees.length === 0) return digest(Buffer.alloc(0)).toString('hex');
      return subtrees.reduceRight((right, left) => node(left, right)).toString('hex');
    },
  };
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

/** Rows of `calls` that are not what the events of kind `calls_recorded` say. */
function callFaults(db) {
  const right = new Map();
  for (const { seq, facts } of db.prepare("SELECT * FROM events WHERE kind = 'calls_recorded'").all()) {
    const values = db.prepare('SELECT name, value FROM event_private WHERE seq = ?').all(seq);
    const value = (name) => {
      const text = values.find((one) => one.name === name)?.value;
      return text === undefined || text === 'null' ? null : text;
    };
    const calls = spelledCanonically(facts)?.calls;
    for (const [n, call] of (Array.isArray(calls) ? calls : []).entries()) {
      const principal = JSON.parse(value(`${n}.principal`)) ?? {};
      const texts = ['principal', 'client', 'arguments'].map((name) => value(`${n}.${name}`));
      const names = [principal.subject, principal.display].map((name) => name?.toLowerCase() ?? null);
      const members = ['id', 'at', 'tool', 'outcome', 'code', 'duration_ms', 'run_id'];
      const row = [...members.map((name) => call[name] ?? null), ...names, ...texts];
      right.set(`${seq} ${n}`, { seq, row: JSON.stringify(row) });
    }
  }
  const faults = [];
  for (const { seq, position, ...row } of db.prepare('SELECT * FROM calls').all()) {
    const place = `${seq} ${position}`;
    if (right.get(place)?.row !== JSON.stringify(Object.values(row))) faults.push({ what: 'call', seq });
    right.delete(place);
  }
  return [...faults, ...[...right.values()].map(({ seq }) => ({ what: 'call missing', seq }))];
}

/** Rows of `mirrored` that are not what the events of kind `page_mirrored` say. */
function mirrorFaults(db) {
  const faults = [];
  const pages = new Map();
  for (const row of db.prepare('SELECT * FROM mirrored ORDER BY seq, position').all()) {
    pages.set(row.seq, [...(pages.get(row.seq) ?? []), row]);
  }
  let gone = 0;
  for (const { seq, facts } of db
    .prepare("SELECT seq, facts FROM events WHERE kind = 'page_mirrored'")
    .all()) {
    const page = spelledCanonically(facts);
    const rows = pages.get(seq) ?? [];
    pages.delete(seq);
    const leaves = rows.map(mirroredLeaf);
    const places = rows.every(({ position }, n) => position === n);
    const marks = leaves.map((hash) => String(hash).slice(0, 8)).join('');
    const right =
      places &&
      page &&
      rows.length === page.rows &&
      marks === page.marks &&
      leaves.every((hash) => hash !== null);
    if (!right || rootOf(leaves).toString('hex') !== page?.root) faults.push({ what: 'mirrored', seq });
    for (const row of rows) {
      const commitments = spelledCanonically(row.commitments) ?? {};
      const values = spelledCanonically(row.private) ?? {};
      gone += Object.keys(commitments).length - Object.keys(values).length;
      for (const [name, { salt, value = null }] of Object.entries(values)) {
        const mac = createHmac('sha256', Buffer.from(String(salt), 'hex'))
          .update(canonical(value))
          .digest('hex');
        if (mac !== commitments[name]) faults.push({ what: 'mirrored private', seq });
      }
    }
  }
  for (const seq of pages.keys()) faults.push({ what: 'mirrored added', seq });
  const erasures = db.prepare("SELECT facts FROM events WHERE kind = 'person_erased'").pluck().all();
  const told = erasures.reduce((sum, text) => sum + (spelledCanonically(text)?.mirrored_values ?? 0), 0);
  if (gone > told) faults.push({ what: 'mirrored erased in silence', seq: 0 });
  const newest = new Map();
  const rows = db.prepare('SELECT * FROM mirrored ORDER BY seq, position').all();
  const key = ({ source, endpoint, foreign_id }) => canonical([source, endpoint, foreign_id]);
  for (const row of rows) newest.set(key(row), row);
  for (const row of rows) {
    if (row.current !== Number(newest.get(key(row)) === row))
      faults.push({ what: 'mirrored current', seq: row.seq });
  }
  return faults;
}

function mirroredLeaf({ source, endpoint, foreign_id, run_id, was, duplicate_of, facts, commitments }) {
  const [told, own] = [spelledCanonically(facts), spelledCanonically(commitments)];
  if (!told || !own) return null;
  return sha256(
    canonical({
      format: 1,
      source,
      endpoint,
      foreign_id,
      run_id,
      was,
      duplicate_of,
      facts: told,
      private: own,
    }),
  );
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

function checkpointFaults({ checkpoint, publicKeyPem, ledger, hashes, pruning }) {
  const { signature, ...rest } = checkpoint;
  const key = createPublicKey(publicKeyPem);
  const der = key.export({ type: 'spki', format: 'der' });
  const { size } = checkpoint;
  const gone = pruning?.size ?? 0;
  const rootUpTo = (end) => {
    if (!pruning) return end <= hashes.length && rootOf(hashes.slice(0, end)).toString('hex');
    const tree = growingTree(gone, pruning.frontier);
    for (const hash of hashes.slice(0, end - gone)) tree.add(hash);
    return tree.root();
  };
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
    size: size <= gone + hashes.length,
    ...(size >= gone && {
      head: checkpoint.head === (size === gone ? (pruning?.head ?? ZEROS) : hashes[size - gone - 1]),
      root: checkpoint.root === rootUpTo(size),
    }),
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
