import { globSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { isGlobBelow } from './glob-below.ts';

describe('a glob', () => {
  it.each([
    '*.log',
    '*.{log,txt}',
    '{app,web}.log',
    'app{,.1}.log',
    '{app.log,web.log}',
    'app-[0-9].log',
    '**/*.log',
    '.hidden',
    'a.b/c',
  ])('of %s stays below its folder', (rest) => {
    expect(isGlobBelow(`/var/log/${rest}`, '/var/log')).toBe(true);
  });

  it.each([
    '../x',
    'a/../../x',
    './x',
    '.{.,}/x',
    '{.,a}{.,b}/x',
    '[.][.]/x',
    '.[.]/x',
    'b/.{a,}.{b,}/x',
    '{b/.,q}./../x',
    '{b,../s}/x',
    '{b/.,c{d,e}}./x',
    '\\.\\./x',
    '/x',
  ])('of %s may leave it', (rest) => {
    expect(isGlobBelow(`/var/log/${rest}`, '/var/log')).toBe(false);
  });

  it.each(['/var/log', '/var/log*/x', '/var/{log,lib}/x', '/var/logs/x', '/*/log/x', 'var/log/x'])(
    '%s is not below /var/log',
    (glob) => {
      expect(isGlobBelow(glob, '/var/log')).toBe(false);
    },
  );

  it('that is held to be below a folder finds nothing outside it', () => {
    const outside = temporaryDirectory();
    const folder = join(outside, 'a');
    mkdirSync(join(folder, 'b'), { recursive: true });
    for (const file of ['x', 'a/x', 'a/b/x']) writeFileSync(join(outside, file), '');
    const token = fc.constantFrom(
      '.',
      '{',
      ',',
      '}',
      '[',
      ']',
      '/',
      'b',
      '*',
      '?',
      '@(',
      ')',
      '!',
      '|',
      '\\',
      '^',
      '-',
    );
    const part = fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join(''));
    const tricky = fc.constantFrom(
      '.{.,}',
      '{.,b}',
      '.{b,}',
      '{,.}',
      '[.]',
      '[!b]',
      '{b/.,b}',
      '{b,.[.]}',
      '{[.],b}',
    );
    const rest = fc.array(fc.oneof(part, tricky), { maxLength: 4 }).map((parts) => parts.join(''));

    fc.assert(
      fc.property(rest, (text) => {
        const glob = `${folder}/${text}/x`;
        fc.pre(isGlobBelow(glob, folder));

        const found = globSync(glob).filter((path) => !join(path).startsWith(`${folder}/`));

        expect(found).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });
});
