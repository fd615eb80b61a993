import type { ApiFault, Reply } from './answers.ts';
import { notFound, refusal } from './answers.ts';
import type { Catalogue } from './catalogue.ts';
import { pageReply, pagingOf } from './paging.ts';
import { idsIn } from './run-list.ts';
import { blockDetail, blockItem, idOf, organizationItem, workspaceDetail, workspaceItem } from './shapes.ts';

// Organizations, workspaces and blocks: what a client needs to turn names into ids.

type Kind = 'organizations' | 'workspaces' | 'blocks';

interface Member {
  id: string;
  name: string;
  organization: string | null;
  workspace: string | null;
  version: string | null;
  from: string | null;
  item(): unknown;
  detail(): unknown;
}

function membersOf(kind: Kind, { organizations, workspaces, blocks }: Catalogue): Member[] {
  const none = { version: null, from: null };
  switch (kind) {
    case 'organizations':
      return organizations.map((name) => {
        const item = (): unknown => organizationItem(name);
        return { id: idOf('organization', name), name, organization: name, workspace: null, ...none, item, detail: item };
      });
    case 'workspaces':
      return workspaces.map((one) => ({
        id: idOf('workspace', one.organization, one.workspace),
        name: one.workspace,
        organization: one.organization,
        workspace: one.workspace,
        ...none,
        item: () => workspaceItem(one),
        detail: () => workspaceDetail(one, blocks.filter(({ organization, workspace }) => organization === one.organization && workspace === one.workspace)),
      }));
    case 'blocks':
      return blocks.map((one) => ({
        id: idOf('block', one.organization, one.workspace, one.block),
        name: one.block,
        organization: one.organization,
        workspace: one.workspace,
        version: one.version,
        from: one.from,
        item: () => blockItem(one),
        detail: () => blockDetail(one),
      }));
  }
} // prettier-ignore

type Test = (member: Member) => boolean;

/** The filters of each list that this ledger has an answer to. */
function testsOf(kind: Kind, query: URLSearchParams, faults: ApiFault[]): Test[] {
  const tests: Test[] = [];
  const text = (name: string, test: (member: Member, value: string) => boolean): void => {
    const value = query.get(name);
    if (value) tests.push((member) => test(member, value));
  };
  const ids = (name: string, idIn: (member: Member) => string): void => {
    const wanted = idsIn(query, name, faults);
    if (wanted) tests.push((member) => wanted.includes(idIn(member)));
  };
  text('name_exact', ({ name }, value) => name === value);
  text('search', ({ name }, value) => name.toLowerCase().includes(value.toLowerCase()));
  if (kind !== 'organizations')
    ids('organizations', ({ organization }) => idOf('organization', organization));
  if (kind === 'workspaces') {
    text('name', ({ name }, value) => name.includes(value));
    text('organization_name', ({ organization }, value) => organization === value);
  }
  if (kind === 'blocks') {
    ids('workspaces', ({ organization, workspace }) => idOf('workspace', organization, workspace));
    text('version', ({ version }, value) => version === value);
    text('from_block', ({ from }, value) => from === value);
    // Nothing here is a template.
    text('template', (_, value) => value === 'false');
  }
  return tests;
}

export function listReply(kind: Kind, catalogue: Catalogue, url: URL): Reply {
  const query = url.searchParams;
  const paging = pagingOf(query);
  if ('status' in paging) return paging;
  const faults: ApiFault[] = [];
  const tests = testsOf(kind, query, faults);
  if (faults.length > 0) return refusal(400, faults);
  const found = membersOf(kind, catalogue).filter((member) => tests.every((test) => test(member)));
  found.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id < b.id ? -1 : 1));
  const first = (paging.page - 1) * paging.size;
  const results = found.slice(first, first + paging.size).map((member) => member.item());
  return pageReply(paging, { count: found.length, results }, url);
}

export function detailReply(kind: Kind, catalogue: Catalogue, id: string): Reply {
  const member = membersOf(kind, catalogue).find((one) => one.id === id.toLowerCase());
  return member ? { status: 200, value: member.detail() } : notFound();
}
