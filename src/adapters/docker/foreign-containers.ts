import { bounded, statusOf } from './engine-errors.ts';
import { type EndpointHints } from './endpoints.ts';
import { createEngine } from './engine.ts';

/** What the Polycrate CLI puts on its containers (polycrate-cli facts 4.5). */
const TRANSACTION_LABEL = 'polycrate.txid';
/** Refusals that mean "it is not there or not running any more", which is what was wanted. */
const ALREADY = new Set([304, 404, 409]);

/** Stops containers that the Polycrate CLI started. Throws where no engine answers. */
export function createContainerStopper(
  hints: EndpointHints,
): (transaction: string, grace_ms: number) => Promise<void> {
  const engine = createEngine(hints);
  return async (transaction, grace_ms) => {
    const docker = await engine.client();
    const filters = { label: [`${TRANSACTION_LABEL}=${transaction}`] };
    const found = await docker.listContainers({ all: false, filters, ...bounded() });
    await Promise.all(
      found.map(({ Id }) =>
        docker
          .getContainer(Id)
          .stop({ t: Math.ceil(grace_ms / 1000) })
          .catch((error: unknown) => {
            if (!ALREADY.has(statusOf(error) ?? 0)) throw error;
          }),
      ),
    );
  };
}
