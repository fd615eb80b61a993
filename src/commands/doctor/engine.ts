import { imageAllowed } from '../../actions/policy.ts';
import type { App } from '../../compose.ts';
import type { Executor } from '../../runs/executor.ts';
import { messageOf } from '../../shared/errors.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

type Parts = Pick<App, 'services' | 'supervision'>;

const FIXES = {
  docker: 'start Docker or Podman, or set DOCKER_HOST to its address',
  local: 'install bash, or add its folder to PATH',
  cli: 'install the Polycrate CLI, or name its path in POLYCRATE_MCP_CLI',
};

/** Where actions run, and whether the images that they need are there. */
export async function checkEngine({ services, supervision }: Parts): Promise<Finding[]> {
  const { settings } = services;
  const executor = supervision.executor(settings.executor);
  const { available, endpoint, version, tried, problem: trouble } = await executor.status();
  if (!available) {
    return [
      problem(`executor ${settings.executor}: ${headOf(trouble)}`, {
        details: tried.map((place) => `tried ${place}`),
        fix: FIXES[settings.executor],
      }),
    ];
  }
  const found = ok(`executor ${settings.executor}: ${endpoint} answers (version ${version})`);
  if (settings.executor === 'local') {
    return [
      found,
      warning('actions run on this host, without a container: that is what the executor local means'),
    ];
  }
  if (settings.executor === 'cli') {
    return [
      found,
      warning(
        'the Polycrate CLI runs actions: limits, pulls and mounts set here do not hold for its containers',
      ),
    ];
  }
  return [found, ...(await checkImages(services, executor))];
}

/** The places that were tried stand below, one to a line. */
function headOf(trouble: string | null): string {
  return (trouble ?? 'not available').replace(/ Tried .*$/s, '');
}

async function checkImages({ store, settings }: App['services'], executor: Executor): Promise<Finding[]> {
  const own = settings.image ?? settings.default_image;
  const named = (await store.list()).flatMap(({ config }) => config.image ?? []);
  const findings: Finding[] = [];
  for (const image of new Set([own, ...named]))
    findings.push(await checkImage(image, { settings, executor }));
  return findings;
}

async function checkImage(
  image: string,
  { settings, executor }: { settings: App['services']['settings']; executor: Executor },
): Promise<Finding> {
  if (!imageAllowed(image, settings.limits.allowed_images)) {
    return problem(`image ${image}, which a workspace names, is not allowed: nothing of it runs`, {
      fix: `add it to POLYCRATE_MCP_ALLOWED_IMAGES, if it is to be trusted`,
    });
  }
  try {
    if ((await executor.image(image)) !== null) return ok(`image ${image} is present and allowed`);
  } catch (error) {
    return problem(`image ${image}: ${messageOf(error)}`);
  }
  if (settings.pull === 'never') {
    return problem(`image ${image} is missing, and POLYCRATE_MCP_PULL is never`, {
      fix: `pull it: docker pull ${image}`,
    });
  }
  return warning(`image ${image} is missing: it is allowed, and the first run pulls it`, {
    fix: `to have it at hand: docker pull ${image}`,
  });
}
