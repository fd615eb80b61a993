import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as apps from 'kubernetes-models/apps/v1';
import * as core from 'kubernetes-models/v1';
import * as networking from 'kubernetes-models/networking.k8s.io/v1';
import * as policy from 'kubernetes-models/policy/v1';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config.ts';

// Manifests of operators, held against the schemas of Kubernetes and against what the server really takes.

const MANIFESTS = new URL('../../manifests', import.meta.url).pathname;
const text = (...path: string[]): string => readFileSync(join(MANIFESTS, ...path), 'utf8');
const { resources } = parse(text('kubernetes', 'kustomization.yaml')) as { resources: string[] };
const documents: any[] = resources.flatMap((file) =>
  parseAllDocuments(text('kubernetes', file)).map((document) => document.toJS()),
);
const one = (kind: string): any => documents.find((document) => document.kind === kind);

interface Model {
  new (data: any): { validate(): void };
}
const GROUPS: Record<string, Record<string, unknown>> = {
  'apps/v1': apps,
  v1: core,
  'networking.k8s.io/v1': networking,
  'policy/v1': policy,
};

describe('manifests of Kubernetes', () => {
  it('names every file of its folder', () => {
    expect([...resources, 'kustomization.yaml'].sort()).toEqual(readdirSync(join(MANIFESTS, 'kubernetes')).sort());
  });

  it.each(documents.map((document) => [document.kind as string, document] as const))('%s fits its schema', (kind, document) => {
    const model = GROUPS[document.apiVersion]?.[kind] as Model | undefined;
    expect(model, `${document.apiVersion} ${kind}`).toBeDefined();
    new model!(document).validate();
    expect(() => new model!({ ...document, spec: 7, metadata: 'x' }).validate()).toThrow();
  });

  it('belong together', () => {
    const { spec } = one('Deployment').spec.template;
    const { labels } = one('Deployment').spec.template.metadata;
    for (const selector of [one('Deployment').spec.selector.matchLabels, one('Service').spec.selector, one('PodDisruptionBudget').spec.selector.matchLabels, one('NetworkPolicy').spec.podSelector.matchLabels]) {
      expect(labels).toMatchObject(selector);
    }
    expect(spec.serviceAccountName).toBe(one('ServiceAccount').metadata.name);
    const [container] = spec.containers;
    const ports = container.ports.map(({ name }: any) => name);
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) expect(ports).toContain(container[probe].httpGet.port);
    expect(ports).toContain(one('Service').spec.ports[0].targetPort);
    const volumes = spec.volumes.map(({ name }: any) => name);
    expect(container.volumeMounts.map(({ name }: any) => name).sort()).toEqual([...volumes].sort());
    expect(spec.volumes[0].persistentVolumeClaim.claimName).toBe(one('PersistentVolumeClaim').metadata.name);
    expect(container.envFrom[0].configMapRef.name).toBe(one('ConfigMap').metadata.name);
    expect(one('PodDisruptionBudget').spec.minAvailable).toBeLessThan(one('Deployment').spec.replicas);
  });

  it('run as nobody in particular, and hold no secrets', () => {
    const { spec } = one('Deployment').spec.template;
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10001 });
    expect(spec.containers[0].securityContext).toMatchObject({ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
    expect(text('container', 'Dockerfile')).toContain('USER 10001:10001');
    expect(documents.map(({ kind }) => kind)).not.toContain('Secret');
  });
}); // prettier-ignore

it('set only what the server knows', () => {
  const container = one('Deployment').spec.template.spec.containers[0];
  const compose = parse(text('compose', 'compose.yaml'));
  const given: Record<string, string> = {
    ...one('ConfigMap').data,
    ...Object.fromEntries(container.env.map(({ name, value }: any) => [name, value])),
    ...compose.services['polycrate-mcp'].environment,
  };
  // Secrets are files that only a cluster has.
  const env = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, name.endsWith('_DATABASE_URL_FILE') ? join(MANIFESTS, 'compose', 'compose.yaml') : value.replace(/^\$\{.*:-(.*)\}$/, '$1')]));
  const { POLYCRATE_MCP_DATABASE_URL_FILE: _, ...plain } = env;
  const { warnings, command, options } = parseConfig({ argv: container.args as string[], env: plain, cwd: '/', home: '/data' });
  expect({ warnings, command, options }).toMatchObject({ warnings: [], command: 'serve', options: { host: '0.0.0.0', port: '3460' } });
}); // prettier-ignore

it('start a runner with what it knows', () => {
  const lines = text('runner', 'polycrate-mcp-runner.service').split('\n');
  const values = (name: string): string[] => lines.flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1)] : []));
  const env = Object.fromEntries(values('Environment').map((pair) => pair.split('=') as [string, string]));
  const argv = values('ExecStart')[0]!.split(' ').slice(2);
  expect(env['POLYCRATE_MCP_RUNNER_KEY_FILE']).toMatch(/^\/etc\//);
  // A secret that only that machine has.
  const { POLYCRATE_MCP_RUNNER_KEY_FILE: _, ...plain } = env;
  const { warnings, command, config } = parseConfig({ argv, env: plain, cwd: '/', home: '/var/lib/polycrate' });
  expect({ warnings, command }).toEqual({ warnings: [], command: 'runner' });
  expect(config).toMatchObject({ server: 'https://mcp.example.com', labels: { site: 'berlin' } });
}); // prettier-ignore
