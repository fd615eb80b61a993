import { z } from 'zod';
import { isObject, type JsonObject } from '../../shared/json.ts';
import { nameProblem } from '../../shared/names.ts';

// What CLIs and SDKs send (polycrate-api facts 2.1 to 2.3). Members that are not known are left alone, as there.

/** Epoch milliseconds here and below; ISO 8601 in reports. */
export interface PlaceReport {
  organization: string;
  workspace: string;
  block: string;
  action: string;
  block_version: string | null;
  /** Secrets are learned from it; it is never kept. */
  block_config: JsonObject | null;
}

export interface StartedReport extends PlaceReport {
  started_at: number | null;
  block_labels: JsonObject | null;
  force: boolean;
}

export interface FinishedReport {
  exit_code: number;
  finished_at: number | null;
  stdout: string;
  stderr: string;
  metadata: JsonObject | null;
  status: 'cancelled' | null;
}

export interface WholeReport extends PlaceReport, FinishedReport {
  started_at: number;
}

/** One thing that is wrong with a report; `attr` names the member. */
export interface ReportFault {
  code: 'required' | 'invalid' | 'null' | 'blank' | 'invalid_choice';
  detail: string;
  attr: string | null;
}

/** Free members are of whoever reports, and not of any size. */
const MOST_FREE = 64 * 1024;
const MOST_CONFIG = 1024 * 1024;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2200, 0, 1);

const name = z.string().superRefine((value, ctx) => {
  const problem = nameProblem(value);
  if (problem !== null) ctx.addIssue({ code: 'custom', message: `This name ${problem}.` });
});
/** Addresses are split at their first slash. */
const organization = name.refine(
  (value) => !value.includes('/'),
  'The name of an organization has no slash.',
);
const time = z.iso
  .datetime({ offset: true, local: true, error: 'A time has to be ISO 8601, as 2026-10-25T14:00:00Z.' })
  // Without an offset it is meant as UTC, as the API does.
  .transform((value) => Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(value) ? value : `${value}Z`))
  .refine(
    (value) => value >= EARLIEST && value < LATEST,
    'A time has to be between the years 2000 and 2200.',
  );
const free = (most: number) =>
  z
    .custom<JsonObject>(isObject, 'This has to be an object.')
    .refine((value) => JSON.stringify(value).length <= most, `This is larger than ${most} characters.`);
const output = z
  .string()
  .nullish()
  .transform((value) => value ?? '');
const orNull = <T>(schema: z.ZodType<T>) => schema.nullish().transform((value) => value ?? null);

const place = {
  organization,
  workspace: name,
  block: name,
  action: name,
  block_version: orNull(z.string().max(200).transform((value) => value || null)),
  block_config: orNull(free(MOST_CONFIG)),
}; // prettier-ignore
const end = {
  exit_code: z.int32(),
  stdout: output,
  stderr: output,
  metadata: orNull(free(MOST_FREE)),
};

const startSchema = z.object({
  ...place,
  started_at: orNull(time),
  block_labels: orNull(free(MOST_FREE)),
  force: z.boolean().default(false),
});
const finishSchema = z.object({ ...end, finished_at: orNull(time), status: orNull(z.literal('cancelled')) });
const wholeSchema = z
  .object({ ...place, ...end, started_at: time, finished_at: time })
  .transform((report) => ({ ...report, status: null }));

export type Read<T> = { report: T } | { faults: ReportFault[] };

export const readStart = (body: unknown): Read<StartedReport> => read(startSchema, body);
export const readFinish = (body: unknown): Read<FinishedReport> => read(finishSchema, body);
export const readWhole = (body: unknown): Read<WholeReport> => read(wholeSchema, body);

function read<T>(schema: z.ZodType<T>, body: unknown): Read<T> {
  if (!isObject(body)) return { faults: [{ code: 'invalid', detail: 'The body has to be an object.', attr: null }] };
  const parsed = schema.safeParse(body);
  if (parsed.success) return { report: parsed.data };
  return { faults: parsed.error.issues.map((issue) => faultOf(issue, body)) };
} // prettier-ignore

function faultOf({ path, code, message }: z.core.$ZodIssue, body: Record<string, unknown>): ReportFault {
  const attr = path.length === 0 ? null : path.join('.');
  const given = attr === null ? body : body[String(path[0])];
  if (given === undefined) return { code: 'required', detail: 'This field is required.', attr };
  if (given === null) return { code: 'null', detail: 'This field may not be null.', attr };
  if (given === '') return { code: 'blank', detail: 'This field may not be blank.', attr };
  return { code: code === 'invalid_value' ? 'invalid_choice' : 'invalid', detail: message, attr };
}
