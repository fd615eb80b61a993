/** German words as the English ones that the grammar reads; most endings are covered by the expressions below. */
const GERMAN: Readonly<Record<string, string>> = {
  heute: 'today', gestern: 'yesterday', vorgestern: 'day before yesterday', jetzt: 'now',
  montag: 'monday', dienstag: 'tuesday', mittwoch: 'wednesday', donnerstag: 'thursday', freitag: 'friday',
  samstag: 'saturday', sonnabend: 'saturday', sonntag: 'sunday',
  januar: 'january', jänner: 'january', februar: 'february', märz: 'march', maerz: 'march', mai: 'may', juni: 'june',
  juli: 'july', oktober: 'october', dezember: 'december',
  früh: 'morning', frueh: 'morning', vormittag: 'morning', vormittags: 'morning', morgens: 'morning',
  mittag: 'noon', mittags: 'noon', nachmittag: 'afternoon', nachmittags: 'afternoon', abend: 'evening',
  abends: 'evening', nacht: 'night', nachts: 'night', mitternacht: 'midnight',
  minute: 'minute', minuten: 'minutes', stunde: 'hour', stunden: 'hours', tag: 'day', tage: 'days', tagen: 'days',
  woche: 'week', wochen: 'weeks', wochenende: 'weekend', monat: 'month', monats: 'month', monate: 'months',
  monaten: 'months', quartal: 'quarter', quartals: 'quarter', jahr: 'year', jahres: 'year', jahre: 'years',
  jahren: 'years', kalenderwoche: 'week', kw: 'week',
  zwischen: 'between', und: 'and', von: 'from', vom: 'from', bis: 'to', seit: 'since', um: 'at', im: 'in', der: 'the', den: 'the',
  dem: 'the', des: 'the', die: 'the', das: 'the', während: 'during', waehrend: 'during',
}; // prettier-ignore

const DAYS = 'montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag';
const PARTS = 'früh|morgen|vormittag|mittag|nachmittag|abend|nacht';

const MONTHS = [
  'january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november',
  'december',
] as const; // prettier-ignore

/** Rewritten in this order. */
const PHRASES: readonly (readonly [RegExp, string | ((...groups: string[]) => string)])[] = [
  [new RegExp(`\\b(${DAYS})(${PARTS})s?\\b`, 'g'), '$1 $2'],
  [/(?<!\p{L})(?:letzte|vorige|vergangene)[nmrs]?(?!\p{L})/gu, 'last'],
  [/(?<!\p{L})vorletzte[nmrs]? (\p{L}+)/gu, '$1 before last'],
  [/(?<!\p{L})diese[nmrs]?(?!\p{L})/gu, 'this'],
  [/\bvor (\d+|einem|einer) (\p{L}+)/gu, (_, count, unit) => `${count.startsWith('ein') ? 1 : count} ${unit} ago`],
  [/(?<!\p{L})nacht (?:auf|zum?) (?:(?:den|dem) )?/gu, 'night to '],
  [new RegExp(`\\bam (?=(?:last|this|letzten|${DAYS}|abend|morgen|vormittag|nachmittag|wochenende)|\\d)`, 'g'), 'on '],
  // "morgen" after a day is its morning; alone it is tomorrow.
  [new RegExp(`(heute|gestern|vorgestern|this|last|${DAYS}) morgen\\b`, 'g'), '$1 morning'],
  [/^morgen\b/g, 'tomorrow'],
  [/\b(\d{1,2})(?::(\d{2}))? ?uhr\b/g, (_, hour, minute) => `${hour}:${minute ?? '00'}`],
  [/\b(\d{1,2})\.(\d{1,2})\.(\d{4})\b/g, (_, day, month, year) => `${year}-${month.padStart(2, '0')}-${day.padStart(2, '0')}`],
  [/\b(\d{1,2})\.(\d{1,2})\.(?!\d)/g, (_, day, month) => `${day} ${MONTHS[Number(month) - 1] ?? '?'}`],
  [/\b(\d{1,2}:\d{2}) ?- ?(\d{1,2}:\d{2})\b/g, '$1 - $2'],
  [/\b(\d{1,2})\. (?=\p{L})/gu, '$1 '],
]; // prettier-ignore

/** The same question in the words that the grammar knows: lower case, English, single spaces, no fillers. */
export function normalized(text: string): string {
  let words = text.trim().toLowerCase().replace(/[\s,]+/g, ' ').replace(/[–—]/g, '-'); // prettier-ignore
  for (const [shape, by] of PHRASES) words = words.replace(shape, by as string);
  return words
    .split(' ')
    .map((word) => (Object.hasOwn(GERMAN, word) ? GERMAN[word] : word))
    .join(' ')
    .replace(/\bday before yesterday\b/g, 'ereyesterday')
    .replace(/\b(?:(?:during|in|of|on|at) )*the\b|\b(?:of|during)\b/g, ' ')
    .replace(
      /\b(?:on|in) (?=today|yesterday|ereyesterday|this|last|\p{L}+day\b|morning|afternoon|evening)/gu,
      '',
    )
    .replace(/ +/g, ' ')
    .trim();
}

export const WEEKDAYS = [
  'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday',
] as const; // prettier-ignore
