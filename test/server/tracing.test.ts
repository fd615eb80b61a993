import { createServer } from 'node:http';
import { once } from 'node:events';
import { type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { connect, tempFolder } from '../support/mcp.ts';
import { serve, visit } from '../support/team-server.ts';
import { localSettings, script, writeWorkspace } from '../support/workspaces.ts';

// Traces as a collector gets them: OTLP over HTTP, with a receiver of our own.

interface Sent {
  name: string;
  kind: number;
  traceId: string;
  parentSpanId?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
  attributes: { key: string; value: { stringValue?: string } }[];
  status: { code?: number };
}

async function collector() {
  const spans: Sent[] = [];
  const services = new Set<string>();
  const paths = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      paths.add(`${request.method} ${request.url}`);
      const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString());
      for (const { resource, scopeSpans } of resourceSpans) {
        for (const { key, value } of resource.attributes) if (key === 'service.name') services.add(value.stringValue);
        for (const scope of scopeSpans) spans.push(...(scope.spans as Sent[]));
      }
      response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, spans, services, paths, close: () => new Promise((resolve) => server.close(resolve)) };
} // prettier-ignore

const attributesOf = ({ attributes }: Sent): Record<string, string | undefined> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));

it('tells a collector of each call: which tool, how long, whether it failed, under the trace of the caller', async () => {
  const [home, root, there] = await Promise.all([tempFolder('home'), tempFolder('root'), collector()]);
  await writeWorkspace(root.path, { name: 'shop', organization: 'acme', blocks: { web: { version: '1.0.0', actions: [script('hello', 'echo hello')] } } });
  const env = { ...localSettings(root.path), OTEL_EXPORTER_OTLP_ENDPOINT: `${there.url}/` };
  const server = await serve({ home: home.path, env, args: ['--no-auth'] });
  const client = await visit({ url: server.url });
  const traceId = '0af7651916cd43dd8448eb211c80319c';
  await client.client.callTool({ name: 'get_status', arguments: {}, _meta: { traceparent: `00-${traceId}-b7ad6b7169203331-01` } });
  const { data } = await client.call('run_action', { workspace: 'shop', block: 'web', action: 'hello', reason: 'a-private-reason', wait_seconds: 30 });
  expect((await client.call('get_block', { workspace: 'shop', block: 'none' })).isError).toBe(true);
  await client.client.readResource({ uri: `polycrate://runs/${data.run.id}` });
  await expect(client.client.readResource({ uri: 'polycrate://runs/01a115ce-3d00-7b57-bbae-5e67464acf8b' })).rejects.toThrow();
  await client.close();
  expect(await server.end()).toBe(0);

  const stdio = await connect({ home: home.path, env });
  await stdio.call('get_status');
  await stdio.close();

  expect([...there.paths]).toEqual(['POST /v1/traces']);
  expect([...there.services]).toEqual(['polycrate-mcp']);
  const named = (name: string): Sent[] => there.spans.filter((span) => span.name === name);
  const [status, overStdio] = named('tools/call get_status');
  expect(status).toMatchObject({ kind: 2, traceId, parentSpanId: 'b7ad6b7169203331' });
  expect(attributesOf(status!)).toMatchObject({
    'mcp.method.name': 'tools/call', 'gen_ai.tool.name': 'get_status', 'gen_ai.operation.name': 'execute_tool', 'network.transport': 'tcp', 'mcp.protocol.version': '2026-07-28',
  });
  expect(attributesOf(overStdio!)['network.transport']).toBe('pipe');
  const [run] = named('tools/call run_action');
  expect(attributesOf(run!)['polycrate.action_run.id']).toBe(data.run.id);
  expect(run!.parentSpanId ?? '').toBe('');
  expect(BigInt(run!.endTimeUnixNano)).toBeGreaterThan(BigInt(run!.startTimeUnixNano));
  const [failed] = named('tools/call get_block');
  expect([attributesOf(failed!)['error.type'], failed!.status.code]).toEqual(['tool_error', 2]);
  const reads = named('resources/read');
  expect(reads.map((span) => [attributesOf(span)['mcp.resource.uri']?.includes('runs/'), span.status.code ?? 0])).toEqual([[true, 0], [true, 2]]);
  expect(JSON.stringify(there.spans)).not.toContain('a-private-reason');
  await there.close();
  await Promise.all([home.remove(), root.remove()]);
}); // prettier-ignore

it('goes on without a collector that answers', async () => {
  const home = await tempFolder('home');
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', POLYCRATE_MCP_LOG_LEVEL: 'error' };
  const client = await connect({ home: home.path, env });
  expect((await client.call('get_status')).isError).toBe(false);
  await client.close();
  await home.remove();
});
