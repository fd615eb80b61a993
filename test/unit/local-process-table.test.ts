import { describe, expect, it } from 'vitest';
import { parsePs, parseStat } from '../../src/adapters/local/process-table.ts';

describe('process table', () => {
  it('reads a stat line whose command holds spaces and parentheses', () => {
    const rest = '41 42 42 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 987654 1 1';
    expect(parseStat(`42 (a ) b (c)) S ${rest}`)).toEqual({
      pid: 42,
      state: 'S',
      group: 42,
      start: '987654',
    });
    expect(parseStat('42 (cut)')).toBeNull();
  });

  it('reads a line of ps where there is no /proc', () => {
    const start = `@${Date.parse('Fri Nov 20 10:11:12 2026')}`;
    expect(parsePs('  42    40 Ss   Fri Nov 20 10:11:12 2026    ')).toEqual({
      pid: 42,
      state: 'S',
      group: 40,
      start,
    });
    expect(parsePs('')).toBeNull();
  });
});
