/** What a Dockerfile brings into an image from elsewhere. */
export interface DockerfileFacts {
  /** Images of the registry or the engine: every `FROM` and `--from` that names no stage of this file. */
  images: readonly string[];
  /** True: it copies files of the build context. */
  reads_context: boolean;
  /** Why it is not built; null: it may be. */
  problem: string | null;
}

/*
 * Our own reading and not a library's: what counts here is what the engine's builder makes of the file, and its
 * versions differ. Whatever could be read in two ways is refused, so that no base image goes past the allow-list.
 */

interface Instruction {
  line: number;
  name: string;
  rest: string;
}

class Refusal extends Error {}

const refuse = (line: number, why: string): never => {
  throw new Refusal(`line ${line} ${why}`);
};

export function readDockerfile(text: string): DockerfileFacts {
  try {
    return judge(instructionsOf(text));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { images: [], reads_context: true, problem: error.message };
  }
}

/** Comments and blank lines may stand within a continued instruction, as the builder has it. */
function instructionsOf(text: string): Instruction[] {
  const found: Instruction[] = [];
  let open: { line: number; text: string } | null = null;
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = index + 1;
    if (/^\s*#\s*escape\s*=/i.test(raw)) refuse(line, 'changes the escape character, which is not supported');
    if (/^\s*(#|$)/.test(raw)) continue;
    if (/[\u0000-\u0008\u000b-\u001f\u007f\u0085\u00a0\u2028\u2029]/.test(raw))
      refuse(line, 'has control characters');
    const continued = /\\[ \t]*$/.exec(raw);
    if (continued && /\\\\[ \t]*$/.test(raw))
      refuse(line, 'ends with two backslashes, which builders read differently');
    const part = continued ? raw.slice(0, continued.index) : raw;
    open = open ? { line: open.line, text: open.text + part } : { line, text: part };
    if (continued) continue;
    found.push(instructionOf(open.line, open.text));
    open = null;
  }
  if (open) found.push(instructionOf(open.line, open.text));
  return found;
}

function instructionOf(line: number, text: string): Instruction {
  const [, name = '', rest = ''] = /^\s*(\S+)\s*(.*)$/s.exec(text) ?? [];
  const upper = name.toUpperCase();
  // A trigger of an earlier stage runs in a later one of the same file.
  if (upper === 'ONBUILD') return instructionOf(line, rest);
  if (['RUN', 'COPY', 'ADD'].includes(upper) && /(?<!<)<<-?\s*["']?[A-Za-z_]/.test(rest))
    refuse(line, 'has a here-document, which the builder of this server does not know');
  return { line, name: upper, rest: rest.trim() };
}

function judge(instructions: readonly Instruction[]): DockerfileFacts {
  const stages = new Set<string>();
  const defaults = new Map<string, string>();
  const images = new Set<string>();
  let count = 0;
  let reads_context = false;
  for (const instruction of instructions) {
    const { line, name } = instruction;
    if (name === 'ARG' && count === 0) noteDefaults(instruction, defaults);
    if (name === 'FROM') {
      const { image, stage } = baseOf(instruction, defaults);
      if (!stages.has(image.toLowerCase()) && image !== 'scratch') images.add(image);
      // Known from here on: a stage may not be its own base.
      if (stage !== null) stages.add(stage.toLowerCase());
      count += 1;
    }
    if (name !== 'COPY' && name !== 'ADD' && name !== 'RUN') continue;
    const source = sourceOf(instruction);
    if (source === null) reads_context ||= name !== 'RUN';
    else if (!isStage(source, { stages, count })) images.add(source);
    if (name === 'RUN' && /^--mount\b/.test(instruction.rest))
      refuse(line, 'uses --mount, which needs BuildKit');
  }
  if (count === 0) throw new Refusal('names no base image (FROM)');
  return { images: [...images], reads_context, problem: null };
}

function noteDefaults({ rest }: Instruction, defaults: Map<string, string>): void {
  for (const word of rest.split(/\s+/)) {
    const [, key, value] = /^([A-Za-z_]\w*)=(["']?)(.*)\2$/.exec(word)?.filter((_, i) => i !== 2) ?? [];
    if (key !== undefined && value !== undefined) defaults.set(key, value);
  }
}

function baseOf(
  { line, rest }: Instruction,
  defaults: ReadonlyMap<string, string>,
): { image: string; stage: string | null } {
  const words = rest.split(/\s+/).filter((word) => !/^--platform=\S+$/.test(word));
  const [image = '', as, stage, ...more] = words;
  if (image.startsWith('--')) refuse(line, `has a flag that is not known: ${image}`);
  if (more.length > 0 || (as !== undefined && (as.toLowerCase() !== 'as' || stage === undefined)))
    refuse(line, 'is not FROM image, or FROM image AS name');
  const resolved = image.replace(/\$\{(\w+)\}|\$(\w+)/g, (whole, braced?: string, bare?: string) => {
    return defaults.get(braced ?? bare ?? '') ?? whole;
  });
  if (!/^[\w.:/@-]+$/.test(resolved) || resolved === '')
    refuse(line, `names its base image in a way that cannot be resolved: ${image}`);
  return { image: resolved, stage: stage ?? null };
}

/** The value of `--from`; null: none is given, and the files come from the context. */
function sourceOf({ line, name, rest }: Instruction): string | null {
  let source: string | null = null;
  for (const word of rest.split(/\s+/)) {
    if (!word.startsWith('--')) break;
    // The builder takes quotes and backslashes out of flags; written plainly, there is nothing to take out.
    if (name !== 'RUN' && /["'\\$]/.test(word)) refuse(line, `has a flag with quotes or variables: ${word}`);
    const [, value] = /^--from=(.*)$/i.exec(word) ?? [];
    if (value === '') refuse(line, 'has an empty --from');
    source = value ?? source;
  }
  return source;
}

function isStage(source: string, { stages, count }: { stages: ReadonlySet<string>; count: number }): boolean {
  if (/^\d+$/.test(source)) return Number(source) < count;
  return stages.has(source.toLowerCase());
}
