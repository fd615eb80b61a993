import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import Docker from 'dockerode';
import { TEST_IMAGE } from './images.ts';

/** A registry that offers TEST_IMAGE under another name, and answers only once it is opened. */
export interface GatedRegistry {
  image: string;
  /** Resolves at the first request of an engine. */
  asked: Promise<void>;
  open(): void;
  close(): Promise<void>;
}

const TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

/** The engine has the image itself already, so that its manifest is all that ever needs to be served. */
export async function openGatedRegistry(): Promise<GatedRegistry> {
  const docker = new Docker();
  const manifest = manifestOf((await docker.getImage(TEST_IMAGE).inspect()).Id);
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  let ask = (): void => undefined;
  const asked = new Promise<void>((resolve) => (ask = resolve));
  const server = createServer((request, response) => {
    ask();
    void opened.then(() => {
      if (request.url === '/v2/') return response.end('{}');
      const headers = {
        'content-type': TYPE,
        'content-length': manifest.length,
        'docker-content-digest': digest,
      };
      return response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : manifest);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const image = `127.0.0.1:${(server.address() as AddressInfo).port}/gated:1`;
  return {
    image,
    asked,
    open,
    async close() {
      open();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      // Only the name: the image itself is TEST_IMAGE's.
      await docker
        .getImage(image)
        .remove()
        .catch(() => undefined);
    },
  };
}

function manifestOf(id: string): Buffer {
  const config = { mediaType: 'application/vnd.docker.container.image.v1+json', size: 1000, digest: id };
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: TYPE, config, layers: [] }));
}
