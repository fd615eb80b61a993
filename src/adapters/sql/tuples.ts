/** Numbers of a text, so many at a time; the list is the same each time. */
export function eachTuple(text: string, length: number, take: (tuple: readonly number[]) => void): void {
  const tuple: number[] = new Array<number>(length).fill(0);
  let [n, value, sign] = [0, 0, 1];
  for (let at = 0; at <= text.length && text !== ''; at += 1) {
    const code = at < text.length ? text.charCodeAt(at) : COMMA;
    if (code === MINUS) sign = -1;
    else if (code !== COMMA) value = value * 10 + code - ZERO;
    else {
      tuple[n] = sign * value;
      [n, value, sign] = [n + 1, 0, 1];
      if (n < length) continue;
      n = 0;
      take(tuple);
    }
  }
}

const [COMMA, MINUS, ZERO] = [44, 45, 48];
