import { execFileSync } from 'node:child_process';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shellWord } from './shell-word.ts';

test('a plain word stays as it is', () => {
  expect(shellWord('/var/lib/gatehouse')).toBe('/var/lib/gatehouse');
});

test('a shell reads words as they were', () => {
  const words = fc.array(
    fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0') && text.isWellFormed()),
    { minLength: 1, maxLength: 20 },
  );
  fc.assert(
    fc.property(words, (texts) => {
      const script = `printf '%s\\0' ${texts.map((text) => shellWord(text)).join(' ')}`;
      expect(execFileSync('/bin/sh', ['-c', script]).toString().split('\0').slice(0, -1)).toEqual(texts);
    }),
    { numRuns: 50 },
  );
});
