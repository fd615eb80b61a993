export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))];
}

export async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Interleaves two kinds of work, whose order changes with each pair, and answers both lists of milliseconds. */
export async function pairs(count, left, right) {
  const times = { left: [], right: [] };
  for (let n = 0; n < count; n += 1) {
    const order = n % 2 === 0 ? ['left', 'right'] : ['right', 'left'];
    for (const side of order) times[side].push(await timed(side === 'left' ? left : right));
  }
  return times;
}

/** One row of the table. `bar` is an upper bound for `value`; null: for information. */
export function row(name, { detail, value, bar, unit = '×' }) {
  const shown = `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`;
  const verdict = bar === null ? 'info' : value <= bar ? 'pass' : 'FAIL';
  return { name, detail, shown, bar: bar === null ? '–' : `≤ ${bar} ${unit}`, verdict };
}

/** Our median over the other's, of one interleaved run. */
export function ratioRow(name, { times, bar, other, digits = 1 }) {
  const [ours, theirs] = [median(times.left), median(times.right)];
  return row(name, {
    detail: `${ours.toFixed(digits)} ms, ${other} ${theirs.toFixed(digits)} ms (${times.left.length} pairs)`,
    value: ours / theirs,
    bar,
  });
}
