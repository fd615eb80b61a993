import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

/** A fake registry: one tiny image in it, served the way the distribution API asks. */
export interface FakeRegistry {
  /** Reference of the one image: `127.0.0.1:port/tiny`, without a tag. */
  image: string;
  host: string;
  /** Id that an engine gives the image. */
  id: string;
  /** Resolves at the first request for the layer. */
  layerAsked: Promise<void>;
  close(): Promise<void>;
}

export interface FakeRegistryOptions {
  /** `user:password` that Basic authentication must bring. */
  login?: string;
  /** The layer is never sent. */
  hangs?: boolean;
}

const TYPE = 'application/vnd.docker.distribution.manifest.v2+json';

export async function openFakeRegistry({ login, hangs }: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const { manifest, config, layer } = tinyImage();
  const blobs = new Map([config, layer].map((blob) => [digestOf(blob), blob]));
  let asked = (): void => undefined;
  const layerAsked = new Promise<void>((resolve) => (asked = resolve));
  const server = createServer((request, response) => {
    const given = (request.headers.authorization ?? '').replace(/^Basic /, '');
    if (login !== undefined && Buffer.from(given, 'base64').toString() !== login) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="fake"' }).end();
    }
    const path = request.url ?? '';
    if (path === '/v2/') return void response.end('{}');
    const digest = path.split('/').at(-1) ?? '';
    const blob = path.startsWith('/v2/tiny/manifests/') ? manifest : blobs.get(digest);
    const known =
      path.startsWith('/v2/tiny/') &&
      (blob !== manifest || ['latest', '2', digestOf(manifest)].includes(digest));
    if (blob === undefined || !known) {
      const errors = [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }];
      return void response
        .writeHead(404, { 'content-type': 'application/json' })
        .end(JSON.stringify({ errors }));
    }
    if (blob === layer) asked();
    if (blob === layer && hangs === true) return;
    const type = blob === manifest ? TYPE : 'application/octet-stream';
    const headers = {
      'content-type': type,
      'content-length': blob.length,
      'docker-content-digest': digestOf(blob),
    };
    response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : blob);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  };
  return { image: `${host}/tiny`, host, id: digestOf(config), layerAsked, close };
}

function tinyImage(): { manifest: Buffer; config: Buffer; layer: Buffer } {
  const tar = tarOf('hello', randomUUID());
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
    }),
  );
  const part = (mediaType: string, blob: Buffer) => ({
    mediaType,
    size: blob.length,
    digest: digestOf(blob),
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: TYPE,
      config: part('application/vnd.docker.container.image.v1+json', config),
      layers: [part('application/vnd.docker.image.rootfs.diff.tar.gzip', layer)],
    }),
  );
  return { manifest, config, layer };
}

/** A tar archive (ustar) of one file. */
function tarOf(name: string, content: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000644\0' + '0000000\0' + '0000000\0', 100);
  header.write(
    content.length.toString(8).padStart(11, '0') + '\0' + '00000000000\0' + ' '.repeat(8) + '0',
    124,
  );
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(sum.toString(8).padStart(6, '0') + '\0 ', 148);
  const body = Buffer.alloc(512);
  body.write(content, 0);
  return Buffer.concat([header, body, Buffer.alloc(1024)]);
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
