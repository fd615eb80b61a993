import { symlink } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { actionEnvironment, runFiles } from '../../src/actions/environment.ts';
import { containerLayout } from '../../src/actions/layout.ts';
import { decide } from '../../src/actions/policy.ts';
import { blockerOf } from '../../src/blocks/block.ts';
import { findAction } from '../../src/blocks/find.ts';
import { findBlock, findWorkspace } from '../../src/workspaces/find.ts';
import { workspaceBlockerOf, type Workspace } from '../../src/workspaces/workspace.ts';
import { actionOf, blockOf, filesOf, planOf, workspaceOf } from '../support/planned.ts';
import { type Folder, temporaryFolder } from './workspace-store-folders.ts';

// Traps that a second implementation of Polycrate falls into, and what this one does about each.

let folder: Folder;
beforeEach(async () => {
  folder = await temporaryFolder({ fixtures: false });
});
afterEach(() => folder.remove());

async function load(rest: string, blocks: Record<string, string> = {}): Promise<Workspace> {
  await folder.write('w/workspace.poly', `name: works\n${rest}`);
  for (const [dir, text] of Object.entries(blocks)) await folder.write(`w/blocks/${dir}/block.poly`, text);
  return findWorkspace(await folder.store().list(), 'works');
}
const inspected = async (workspace: Workspace, block: string) =>
  folder.store().inspect(workspace, findBlock(workspace, block));
const limits = { mode: 'trusted', allowed_images: ['*'], allowed_mounts: [] } as const;
const matching = (expected: RegExp): unknown => expect.stringMatching(expected);
const ORG = 'organization: acme\n';

const TRAPS: readonly [number, string, () => void | Promise<void>][] = [
  [1, 'an explicit false, 0 or "" wins, and the plan says that the 2025 CLI disagrees', async () => {
    const works = await load(`${ORG}blocks: [{ name: db, config: { on: false, n: 0 } }]\n`, { db: 'name: db\nconfig: { on: true, n: 1 }\n' });
    const block = findBlock(works, 'db');
    expect(block.config).toEqual({ on: false, n: 0 });
    expect(planOf({ block }).warnings).toContainEqual(matching(/config\.on is empty and takes effect; the 2025 CLI/));
  }],
  [2, 'script lines run in order in one shell that stops at the first failure', () => {
    const plan = planOf({ action: actionOf({ script: ['a', 'b'] }) });
    expect(plan.command).toContain('-euo');
    expect(plan.warnings).toContainEqual(matching(/at the same time/));
  }],
  [4, 'a prompt needs a human in every mode', () => {
    expect(decide(planOf({ action: actionOf({ prompt: 'Sure?' }) }), limits)).toMatchObject({ decision: 'approve', rule: 'action:prompt' });
  }],
  [6, 'keys keep their case in the snapshot, and the plan says that the 2025 CLI lower-cased them', () => {
    const block = blockOf({ config: { FooBar: [{ innerKey: 1 }] } });
    const [snapshot] = runFiles({ workspace: workspaceOf(), block, action: actionOf(), files: filesOf(), layout: containerLayout('/workspace') });
    expect(snapshot!.content).toContain('"FooBar":[{"innerKey":1}]');
    expect(planOf({ block }).warnings).toContainEqual(matching(/lower case: FooBar, FooBar\.innerKey/));
  }],
  [7, 'workspace.poly names image and roots', async () => {
    const works = await load(`${ORG}config: { image: { reference: r.example/t, version: 2 }, blocksroot: parts }\n`);
    expect(works.config).toMatchObject({ image: 'r.example/t:2', blocksroot: 'parts' });
  }],
  [8, 'the inner name is the identity, slashes and dots included, and makes the artifacts path', async () => {
    const works = await load(ORG, { 'some/where': 'name: cargo.example.com/acme/db\n' });
    await folder.write('w/artifacts/blocks/cargo.example.com/acme/db/inventory.yml', 'all: { hosts: { h1: } }\n');
    expect((await inspected(works, 'acme/db')).inventory?.relative).toBe('artifacts/blocks/cargo.example.com/acme/db/inventory.yml');
    const bad = await load(ORG, { bad: 'name: ../../etc\n' });
    expect(blockerOf(bad.blocks.find(({ name }) => name === '../../etc')!)).toMatch(/"\.\." segment/);
  }],
  [9, 'a linked folder of a block is not followed', async () => {
    await load(ORG, { real: 'name: real\n' });
    await folder.write('elsewhere/block.poly', 'name: linked\n');
    await symlink(folder.path('elsewhere'), folder.path('w/blocks/linked'));
    expect((await load(ORG)).blocks.map(({ name }) => name)).toEqual(['real']);
  }],
  [10, 'one bad block.poly is reported and hides nothing', async () => {
    const works = await load(ORG, { good: 'name: good\n', bad: 'name: [\n', empty: '' });
    expect(works.blocks.map(({ name }) => name)).toEqual(['good']);
    expect(works.problems.map(({ file }) => file)).toEqual(expect.arrayContaining(['blocks/bad/block.poly', 'blocks/empty/block.poly']));
    expect(workspaceBlockerOf(works)).toBeNull();
  }],
  [11, 'a k8sapp that is mentioned becomes an instance', async () => {
    const app = { app: 'name: app\nkind: k8sapp\n' };
    expect(findBlock(await load(ORG, app), 'app').kind).toBe('k8sapp');
    expect(findBlock(await load(`${ORG}blocks: [{ name: app }]\n`, app), 'app').kind).toBe('k8sappinstance');
  }],
  [12, 'two instances share no action', async () => {
    const works = await load(`${ORG}blocks: [{ name: a, from: base, actions: [{ name: go, script: [mine] }] }, { name: b, from: base }]\n`, { base: 'name: base\nactions: [{ name: go, script: [base] }]\n' });
    expect(['a', 'b', 'base'].map((name) => findAction(findBlock(works, name), 'go').script)).toEqual([['mine'], ['base'], ['base']]);
  }],
  [13, 'a workspace without organization works, with a warning', async () => {
    const works = await load('');
    expect(workspaceBlockerOf(works)).toBeNull();
    expect(planOf({ workspace: works }).warnings).toContainEqual(matching(/names no organization/));
  }],
  [14, 'a second = and mount options are accepted, and the plan says that the 2025 CLI refuses them', async () => {
    const works = await load(`${ORG}extraenv: [Q=a=b]\nextramounts: ["/a:/b:ro"]\n`);
    expect(works).toMatchObject({ extraenv: { Q: 'a=b' }, extramounts: [{ readonly: true }], problems: [] });
    expect(planOf({ workspace: works }).warnings.filter((text) => text.includes('2025 CLI refuses'))).toHaveLength(2);
  }],
  [15, "the user's own kubeconfig is never used: without one there is no KUBECONFIG", () => {
    const target = { workspace: workspaceOf(), block: blockOf({ kind: 'k8sapp' }), action: actionOf(), files: filesOf(), layout: containerLayout('/workspace') };
    expect(actionEnvironment(target, { container: true, image: null, version: '1' })).not.toHaveProperty('KUBECONFIG');
    expect(planOf({ block: target.block }).warnings).toContainEqual(matching(/~\/\.kube\/config is not used/));
  }],
  [17, 'an interactive action is refused, and the refusal says where it can run', () => {
    expect(decide(planOf({ action: actionOf({ interactive: true }) }), limits)).toMatchObject({ decision: 'deny', rule: 'action:interactive' });
  }],
  [18, 'a colon in the path of the workspace is fine here, and the plan says that the 2025 CLI cannot mount it', () => {
    expect(planOf({ workspace: workspaceOf({ path: '/srv/a:b' }) }).warnings).toContainEqual(matching(/colon/));
  }],
  [20, 'a version in from is compared as text, and latest is no magic', async () => {
    const works = await load(`${ORG}blocks: [{ name: a, from: "db:1.10" }, { name: b, from: "db:latest" }]\n`, { db: 'name: db\nversion: 1.10\n' });
    expect(blockerOf(findBlock(works, 'a'))).toBeNull();
    expect(blockerOf(findBlock(works, 'b'))).toMatch(/in version latest, but 1\.10 is here/);
  }],
  [21, 'the snapshot has no top-level variables but workspace, block and action', () => {
    const [snapshot] = runFiles({ workspace: workspaceOf(), block: blockOf(), action: actionOf(), files: filesOf(), layout: containerLayout('/workspace') });
    expect(Object.keys(JSON.parse(snapshot!.content) as object)).toEqual(['workspace', 'block', 'action']);
  }],
  [22, 'chains of from resolve in any order, and a circle is an error of its members alone', async () => {
    const works = await load(`${ORG}blocks: [{ name: a, from: b }, { name: b, from: c }, { name: x, from: y }, { name: y, from: x }]\n`, { c: 'name: c\nconfig: { deep: 1 }\n' });
    expect(findBlock(works, 'a').config).toEqual({ deep: 1 });
    expect(blockerOf(findBlock(works, 'x'))).toMatch(/x → y → x/);
  }],
  [23, 'braces in a script are left alone, and the plan says that the 2025 CLI rendered them', () => {
    const action = actionOf({ script: ["docker ps --format '{{.Names}}'"] });
    const files = runFiles({ workspace: workspaceOf(), block: blockOf(), action, files: filesOf(), layout: containerLayout('/workspace') });
    expect(files[1]!.content).toBe("docker ps --format '{{.Names}}'\n");
    expect(planOf({ action }).warnings).toContainEqual(matching(/rendered it as a template/));
  }],
]; // prettier-ignore

// All 24 through a client, with a workspace on disk for each: test/e2e/polycrate-traps.test.ts.
test.each(TRAPS)('trap %i: %s', (_number, _what, check) => check());
