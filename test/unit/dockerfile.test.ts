import { describe, expect, it } from 'vitest';
import { readDockerfile } from '../../src/actions/dockerfile.ts';

const images = (text: string): readonly string[] => readDockerfile(text).images;

describe('a Dockerfile', () => {
  it('names the images that it is made of, and those only', () => {
    expect(images('FROM tools:1\nRUN true\n')).toEqual(['tools:1']);
    expect(images('# comment\n\nfrom --platform=linux/amd64 tools:1 as base\nFROM base\nFROM BASE')).toEqual([
      'tools:1',
    ]);
    expect(images('FROM a AS x\nFROM b\nCOPY --from=x / /\nCOPY --from=0 / /\nCOPY --from=c /d /d')).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(images('FROM scratch\nCOPY . /')).toEqual([]);
    expect(images('ARG V=1\nARG BASE="tools:$V" OTHER=img\nFROM ${OTHER}:2\nFROM $OTHER')).toEqual([
      'img:2',
      'img',
    ]);
    expect(images('FROM a\nRUN x \\\n  # comment\n\n  FROM evil')).toEqual(['a']);
  });

  it.each([
    ['a stage that is its own base', 'FROM evil AS evil', ['evil']],
    ['a stage that comes later', 'FROM later\nFROM tools AS later', ['later', 'tools']],
    ['a number that is no stage', 'FROM a\nCOPY --from=1 / /', ['a', '1']],
    ['a trigger', 'FROM a AS x\nONBUILD COPY --from=evil / /\nFROM x', ['a', 'evil']],
    ['a first line with a byte order mark', '\ufeffFROM evil', ['evil']],
    ['a line that follows a comment with a backslash', 'FROM a\n# x \\\nFROM evil', ['a', 'evil']],
    ['an argument of the second stage', 'FROM a\nCOPY --chown=1 --from=evil / /', ['a', 'evil']],
  ])('hides no image behind %s', (_what, text, expected) => {
    expect(images(text)).toEqual(expected);
  });

  it.each([
    ['no base', 'RUN true', 'names no base image'],
    ['variables that nobody sets', 'ARG BASE\nFROM $BASE', 'cannot be resolved'],
    ['variables with a default of their own', 'FROM ${BASE:-evil}', 'cannot be resolved'],
    ['variables of a stage', 'FROM a\nARG B=evil\nFROM $B', 'cannot be resolved'],
    ['another escape character', '# escape=`\nFROM a', 'escape character'],
    ['here-documents', 'FROM a\nRUN <<EOF\nFROM evil\nEOF', 'line 2 has a here-document'],
    ['two backslashes', 'FROM a\nRUN echo \\\\\nFROM evil', 'line 2 ends with two backslashes'],
    ['quoted flags', 'FROM a\nCOPY --fr"om"=evil / /', 'quotes or variables'],
    ['flags with backslashes', 'FROM a\nCOPY --fro\\m=evil / /', 'quotes or variables'],
    ['variables in --from', 'FROM a\nARG X=evil\nCOPY --from=$X / /', 'quotes or variables'],
    ['mounts', 'FROM a\nRUN --mount=type=bind,from=evil true', 'BuildKit'],
    ['unknown flags of FROM', 'FROM --x=y a', 'not known'],
    ['too many words', 'FROM a b', 'is not FROM image'],
    ['control characters', 'FROM a\u00a0b', 'control characters'],
  ])('with %s is refused', (_what, text, why) => {
    expect(readDockerfile(text).problem).toContain(why);
  });

  it('tells whether it copies anything of the workspace', () => {
    const copies = (text: string): boolean => readDockerfile(text).reads_context;
    expect(copies('FROM a\nRUN true')).toBe(false);
    expect(copies('FROM a AS x\nFROM a\nCOPY --from=x / /')).toBe(false);
    expect(copies('FROM a\nCOPY x /')).toBe(true);
    expect(copies('FROM a\nADD x /')).toBe(true);
    expect(copies('FROM a AS x\nONBUILD COPY . /\nFROM x')).toBe(true);
  });
});
