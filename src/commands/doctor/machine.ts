import { constants } from 'node:fs';
import { access, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sqliteVersion } from '../../adapters/sqlite/driver.ts';
import { networkFileSystem } from '../../adapters/sqlite/file-system.ts';
import { codeOf, messageOf } from '../../shared/errors.ts';
import { ok, problem, warning, type Finding } from './finding.ts';

const LEAST_NODE = [20, 18] as const;
const LITTLE_SPACE_BYTES = 1024 ** 3;

/** Common ones by their magic number (statfs(2)). */
const FILE_SYSTEMS = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'xfs'],
  [0x9123683e, 'btrfs'],
  [0x2fc12fc1, 'zfs'],
  [0x794c7630, 'overlay'],
  [0x01021994, 'tmpfs'],
  [0x1a, 'apfs'],
]);
export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > LEAST_NODE[0] || (major === LEAST_NODE[0] && minor >= LEAST_NODE[1]);
  if (enough) return ok(`Node.js ${version}`);
  return problem(`Node.js ${version} is too old`, {
    fix: `install Node.js ${LEAST_NODE.join('.')} or newer`,
  });
}

export function checkDriver(load: () => string = sqliteVersion): Finding {
  try {
    return ok(`better-sqlite3 loads (SQLite ${load()})`);
  } catch (error) {
    return problem(`better-sqlite3 cannot be loaded: ${messageOf(error).split('\n')[0]}`, {
      fix: 'npm rebuild better-sqlite3',
      details: [
        'It downloads a prebuilt binary, or compiles for a minute where it cannot: that takes a C++ compiler,',
        'make and Python (Debian: apt-get install g++ make python3) and the headers of Node.js.',
        'Where neither is possible, copy node_modules/better-sqlite3 from a machine with the same system,',
        'processor and major version of Node.js.',
      ],
    });
  }
}

export interface Home {
  finding: Finding;
  /** False: nothing has been written yet, and nothing may be by looking. */
  exists: boolean;
}

/** The data folder: is it there or can it be made, may we write, and do SQLite's locks hold there? */
export async function checkHome(home: string): Promise<Home> {
  const fix = 'set POLYCRATE_MCP_HOME to a folder that this user may write to, on a local disk';
  const existing = await nearestExisting(home);
  const exists = existing === home;
  const facts = await stat(existing);
  if (!facts.isDirectory()) {
    return { exists, finding: problem(`data folder ${home}: ${existing} is not a folder`, { fix }) };
  }
  const writable = await access(existing, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable) {
    return {
      exists,
      finding: problem(`data folder ${home}: ${existing} is not writable for this user`, { fix }),
    };
  }
  return { exists, finding: await judgeFileSystem(home, existing) };
}

async function judgeFileSystem(home: string, existing: string): Promise<Finding> {
  const facts = await statfs(existing);
  const magic = facts.type >>> 0;
  const network = networkFileSystem(facts);
  if (network) {
    return problem(
      `data folder ${home} lies on a network file system (${network}), where SQLite's locks do not hold`,
      {
        fix: 'set POLYCRATE_MCP_HOME to a folder on a local disk',
      },
    );
  }
  const free = facts.bavail * facts.bsize;
  const where = `${FILE_SYSTEMS.get(magic) ?? `file system 0x${magic.toString(16)}`}, ${gib(free)} free`;
  if (free < LITTLE_SPACE_BYTES) {
    return warning(`data folder ${home} has little room: ${where}`, { fix: 'free some disk space' });
  }
  if (existing !== home)
    return ok(`data folder ${home} (${where}) does not exist yet: the first call creates it`);
  return ok(`data folder ${home} is writable (${where})`);
}

async function nearestExisting(path: string): Promise<string> {
  try {
    await stat(path);
    return path;
  } catch (error) {
    // Below a file: the file is what is in the way. Not readable: its folder is what can be judged.
    if (dirname(path) === path || !['ENOENT', 'ENOTDIR', 'EACCES'].includes(codeOf(error) ?? '')) throw error;
    return nearestExisting(dirname(path));
  }
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
}
