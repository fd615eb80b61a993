/** A stretch of text that is a secret by its looks. */
export interface Span {
  start: number;
  end: number;
}

/** How far before a secret the words may begin that give it away, and how long one may be: bounds of a hold-back. */
export const CONTEXT = 256;
export const LONGEST_TOKEN = 4096;

/** Tokens that their issuers made recognisable. */
const TOKENS = [
  'eyJ[\\w-]{8,2000}\\.[\\w-]{8,2000}(?:\\.[\\w-]{0,500})?', // JWT
  'gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\\w{22,255}',
  'gl(?:pat|ptt|dt|rt|soat|cbt|agent|oas|ft|imt|ffct)-[\\w-]{20,300}',
  'xox[abeoprs]-[A-Za-z0-9-]{10,255}|xapp-[A-Za-z0-9-]{20,255}',
  '(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])',
  'AIza[\\w-]{35}|ya29\\.[\\w-]{20,1000}',
  'do[opr]_v1_[a-f0-9]{64}',
  '(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,255}|whsec_[A-Za-z0-9+/=]{24,255}',
  'npm_[A-Za-z0-9]{36}|pypi-AgE[\\w-]{50,500}|dckr_pat_[\\w-]{20,100}',
  'hvs\\.[\\w-]{24,300}|sk-(?:ant|proj)-[\\w-]{20,300}',
  'AGE-SECRET-KEY-1[A-Z0-9]{58}',
];
const TOKEN = new RegExp(`(?<![\\w-])(?:${TOKENS.join('|')})`, 'g');
const TOKEN_ANCHOR =
  /eyJ|gh[pousr]_|github_pat_|gl[a-z]{2,5}-|xox|xapp-|A[KS]IA|AIza|ya29|do[opr]_v1|[sr]k_(?:live|test)|whsec_|npm_|pypi-|dckr_pat|hvs\.|sk-|AGE-S/;

/** Secrets that only the words around them give away; what is matched is the secret alone. */
const HEADER =
  /(?<=authorization["']?\s{0,3}[:=]\s{0,3}["']?(?:basic|bearer|token|digest) )[^\s"',;]{4,4000}/gi;
const BEARER = /(?<=\bbearer )(?=[\w.~+/-]{0,40}\d)[\w.~+/-]{12,4000}={0,2}/gi;
const HEADER_ANCHOR = /bearer |authorization/i;
const URL_PASSWORD = /(?<=[a-z0-9+.-]{1,20}:\/\/[^\s:@/"']{0,100}:)[^\s@/"']{1,256}(?=@)/gi;
const HETZNER = /(?<=(?:hcloud|hetzner)[^\n]{0,80}(?<![A-Za-z0-9]))[A-Za-z0-9]{64}(?![A-Za-z0-9])/gi;
const HETZNER_ANCHOR = /hcloud|hetzner/i;

const NAME =
  '(?:pass(?:word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|secret_?key|credentials?)';
/** `password=…`, `"api_key": "…"`, `db_token: …`, `--password …` is left to known values. */
const ASSIGNMENT = new RegExp(
  `${NAME}\\\\?["']?(\\s{0,3}[:=]>?\\s{0,3})(\\\\?["']?)([^\\s"',;}\\\\]{8,4000})`,
  'gi',
);
const ASSIGNMENT_ANCHOR = /(?:pass(?:word|wd|phrase)?|secret|token|key|credentials?)\\?["']?\s{0,3}[:=]/i;
/** Templates, references, paths, and what tools write instead of a secret. */
const NO_SECRET =
  /^(?:[{$<*%!/([|&~.]|[a-z]+:\/\/|value_specified|not_logging|omit|null|none|true|false|undefined|redacted|[\w.]+[([]|[a-z_]+(?:\.[a-z_]+)+$|(?:sha\d+|md5)[:$]|x+$|\W+$)/i;
const PLACEHOLDER = /^\[secret\]/;

/** Secrets in one line that nobody told us about. */
export function findTokens(text: string): Span[] {
  const found: Span[] = [];
  const collect = (pattern: RegExp, accept?: (token: string) => boolean): void => {
    for (const match of text.matchAll(pattern)) {
      if (accept && !accept(match[0])) continue;
      found.push({ start: match.index, end: match.index + match[0].length });
    }
  };
  if (TOKEN_ANCHOR.test(text)) collect(TOKEN);
  if (HEADER_ANCHOR.test(text)) {
    collect(HEADER, isReal);
    collect(BEARER);
  }
  if (text.includes('://') && text.includes('@')) collect(URL_PASSWORD, isReal);
  if (HETZNER_ANCHOR.test(text)) collect(HETZNER, isMixed);
  if (ASSIGNMENT_ANCHOR.test(text)) found.push(...assignments(text));
  return found;
}

function assignments(text: string): Span[] {
  const found: Span[] = [];
  for (const match of text.matchAll(ASSIGNMENT)) {
    const [whole, sign = '', quote, value = ''] = match;
    // `password: changed` and `password = ask` are prose or code as often: there a value has to look like one.
    const plain = quote === '' && /[:\s]/.test(sign);
    if (!isReal(value) || (plain && !isMixed(value))) continue;
    const end = match.index + whole.length;
    found.push({ start: end - value.length, end });
  }
  return found;
}

function isReal(value: string): boolean {
  return !NO_SECRET.test(value) && !PLACEHOLDER.test(value);
}

function isMixed(value: string): boolean {
  return /\d/.test(value) && /[A-Za-z]/.test(value) && !/^[\w.-]+:\d+$/.test(value);
}
