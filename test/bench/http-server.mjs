// The least that an SDK server over HTTP can be: as many tools as ours, none of which does anything.
import { createServer } from 'node:http';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';

const TOOLS = Number(process.argv[2]);
const text = z.object({ text: z.string() });

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'bare', version: '1' });
  for (let n = 0; n < TOOLS; n += 1) {
    server.registerTool(`echo_${n}`, { description: 'Answers what it was given. '.repeat(12), inputSchema: text, outputSchema: text }, ({ text }) => ({
      content: [{ type: 'text', text: JSON.stringify({ text }) }],
      structuredContent: { text },
    }));
  }
  return server;
}); // prettier-ignore
const listener = toNodeHandler(handler);
const server = createServer((request, response) => void listener(request, response));
server.listen(0, '127.0.0.1', () => process.stdout.write(`http://127.0.0.1:${server.address().port}/mcp\n`));
