// A second verifier of bundles, written from src/ledger/FORMAT.md alone. It shares no code with the program.
//   node second-bundle-verifier.mjs FOLDER PUBLIC-KEY.pem
import { createHash, createHmac, createPublicKey, verify as verifySignature } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { canonical, hashOf, isIncluded, spelledCanonically } from './second-verifier.mjs';

/** Faults of a bundle, as text; none if all of it is in order and signed with that key. */
export function verifyBundle(folder, publicKeyPem) {
  const text = readFileSync(join(folder, 'bundle.json'), 'utf8');
  const manifest = text.endsWith('}\n') ? spelledCanonically(text.slice(0, -1)) : null;
  if (!manifest) return ['manifest: spelling'];
  const faults = [...signatureFaults(manifest, publicKeyPem), ...fileFaults(folder, manifest)];
  if (faults.length > 0) return faults;
  const counts = {
    runs: 0,
    events: 0,
    private_values: 0,
    withheld: 0,
    launched: 0,
    workflows: 0,
    status: {},
  };
  const ids = new Set();
  for (const line of readFileSync(join(folder, 'runs.jsonl'), 'utf8').split('\n').slice(0, -1)) {
    const run = spelledCanonically(line);
    if (!run || ids.has(run.run_id)) return [`line ${counts.runs + 1}`];
    ids.add(run.run_id);
    faults.push(...runFaults(run, manifest));
    count(counts, run);
  }
  if (canonical(counts) !== canonical(manifest.counts)) faults.push('manifest: counts');
  return faults;
}

function signatureFaults(manifest, pem) {
  const key = createPublicKey(pem);
  const der = key.export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(der).digest('hex');
  const signed = (object) => {
    const { signature, ...rest } = object;
    return verifySignature(null, Buffer.from(canonical(rest)), key, Buffer.from(signature, 'base64'));
  };
  const right = {
    format: manifest.format === 'polycrate-mcp bundle 1',
    key: manifest.key_id === id && manifest.public_key === der.toString('base64'),
    signature: signed(manifest),
    checkpoint: manifest.checkpoint.key_id === id && signed(manifest.checkpoint),
  };
  return Object.keys(right).filter((name) => !right[name]).map((name) => `manifest: ${name}`);
} // prettier-ignore

function fileFaults(folder, { files }) {
  const changed = files.filter(({ name, bytes, sha256 }) => {
    const path = join(folder, name);
    if (!existsSync(path)) return true;
    const content = readFileSync(path);
    return content.length !== bytes || createHash('sha256').update(content).digest('hex') !== sha256;
  });
  const added = readdirSync(folder, { recursive: true })
    .filter((name) => !statSync(join(folder, name)).isDirectory())
    .map((name) => relative(folder, join(folder, name)))
    .filter((name) => name !== 'bundle.json' && !files.some((file) => file.name === name));
  return [...changed.map(({ name }) => `file: ${name}`), ...added.map((name) => `added: ${name}`)];
}

function runFaults({ run_id, record, events }, { checkpoint, files }) {
  const { size, root } = checkpoint;
  const faults = events.flatMap((event, at) => {
    const { seq, hash, path } = event;
    const commitments = spelledCanonically(event.commitments) ?? {};
    const wrong = event.private.filter(({ name, salt, value }) => {
      const right = createHmac('sha256', Buffer.from(salt, 'hex')).update(value, 'utf8').digest('hex');
      return commitments[name] !== right;
    });
    const fine =
      event.run_id === run_id &&
      hashOf(event) === hash &&
      wrong.length === 0 &&
      (at === 0 || seq > events[at - 1].seq) &&
      isIncluded({ hash, index: seq - 1, size, path }, root);
    return fine ? [] : [`event ${seq}`];
  });
  if (canonical(merged(events)) !== canonical(record) || record.id !== run_id)
    faults.push(`record ${run_id}`);
  if (!['run_requested', 'run_imported'].includes(events[0].kind)) faults.push(`beginning ${run_id}`);
  const log = files.find(({ name }) => name === `logs/${run_id}.log`);
  if (log && record.log?.sha256 && log.sha256 !== record.log.sha256) faults.push(`log ${run_id}`);
  return faults;
}

/** FORMAT.md, "The record". */
export function merged(events) {
  const record = {};
  for (const event of events) {
    const facts = JSON.parse(event.facts);
    if (event.kind === 'run_alias_added') {
      record.aliases = [...record.aliases, facts.alias];
      continue;
    }
    if (event.kind === 'run_submitted') {
      record.api = facts.api;
      const { action_run_id: id, endpoint = null } = facts.api;
      const same = (one) => one.source === 'api' && one.endpoint === endpoint && one.id === id;
      if (id !== null && !record.aliases.some(same))
        record.aliases = [...record.aliases, { source: 'api', endpoint, id }];
      continue;
    }
    if (event.kind === 'run_seen_elsewhere') {
      const place = ({ source, endpoint, id }) => canonical([source, endpoint, id]);
      const others = (record.contradictions ?? []).filter((one) => place(one) !== place(facts.seen));
      record.aliases = [...record.aliases, ...facts.aliases];
      record.contradictions = [...others, ...facts.contradictions];
      if (record.contradictions.length === 0) delete record.contradictions;
      if (facts.api) record.api = facts.api;
      continue;
    }
    if ('status' in record && !['pending', 'running'].includes(record.status)) continue;
    if (event.kind === 'run_approval_answered') {
      answer(record, event, facts);
      continue;
    }
    const values = event.private.map(({ name, value }) => [name, JSON.parse(value)]);
    for (const [name, value] of [...Object.entries(facts), ...values]) put(record, name.split('.'), value);
    if (event.kind === 'run_finished' && record.contradictions) {
      const stays = ({ field, says }) =>
        !['status', 'exit_code', 'finished_at'].includes(field) ||
        (record[field] !== null &&
          (field === 'finished_at' ? Math.abs(says - record[field]) > 5_000 : says !== record[field]));
      record.contradictions = record.contradictions.filter(stays);
      if (record.contradictions.length === 0) delete record.contradictions;
    }
  }
  return record;
}

function answer(record, event, { outcome, strength, decides }) {
  const left = Object.fromEntries(event.private.map(({ name, value }) => [name, JSON.parse(value)]));
  const given = { outcome, strength, at: event.at };
  const reason = 'reason' in left ? { reason: left.reason } : {};
  const { principal } = left;
  record.approvals = [...(record.approvals ?? []), { ...given, ...(principal && { principal }), ...reason }];
  if (!decides) return;
  Object.assign(record, decides);
  const who = principal ? { by: principal.display, person: principal.person } : {};
  record.approval = { ...given, ...who, ...reason };
}

function put(target, [name, ...rest], value) {
  if (rest.length === 0) return void (target[name] = value);
  const nested = target[name];
  if (nested === null || typeof nested !== 'object' || Array.isArray(nested)) target[name] = {};
  put(target[name], rest, value);
}

function count(counts, { record, events }) {
  counts.runs += 1;
  counts.events += events.length;
  counts.launched += record.launched ? 1 : 0;
  counts.workflows += record.kind === 'workflow' ? 1 : 0;
  counts.status[record.status] = (counts.status[record.status] ?? 0) + 1;
  for (const event of events) {
    const all = Object.keys(JSON.parse(event.commitments)).length;
    counts.private_values += event.private.length;
    counts.withheld += all - event.private.length;
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [folder, key] = process.argv.slice(2);
  const faults = verifyBundle(folder, readFileSync(key, 'utf8'));
  for (const fault of faults) console.log(fault);
  console.log(faults.length === 0 ? 'in order' : `${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 3;
}
