import { describe, expect, test } from 'vitest';
import { referencesOf } from './reference.ts';

describe('what a file reaches for', () => {
  test.each([
    ['an import', "import { a } from './a.ts';", 'static src/keys/a.ts'],
    ['an import of everything', "import * as all from '../base/clock.ts';", 'static src/base/clock.ts'],
    ['an import for its effects', "import './a.ts';", 'static src/keys/a.ts'],
    ['a type import', "import type { A } from './a.ts';", 'type src/keys/a.ts'],
    ['an import of inline types', "import { type A, type B } from './a.ts';", 'type src/keys/a.ts'],
    ['an import of types and values', "import { type A, b } from './a.ts';", 'static src/keys/a.ts'],
    ['an empty type import', "import type {} from 'zod';", 'type zod'],
    ['a re-export', "export { a } from './a.ts';", 'static src/keys/a.ts'],
    ['a re-export of everything', "export * from './a.ts';", 'static src/keys/a.ts'],
    ['a re-export of types', "export type { A } from './a.ts';", 'type src/keys/a.ts'],
    ['a dynamic import', "const a = await import('../../sandbox/a.ts');", 'dynamic sandbox/a.ts'],
    ['a dynamic import of a template', 'await import(`yargs`);', 'dynamic yargs'],
    ['a computed import', 'await import(name);', 'computed name'],
    ['a type of an import', "let a: import('./a.ts').A;", 'type src/keys/a.ts'],
    ['a worker', "new Worker(new URL('./w.ts', import.meta.url));", 'worker src/keys/w.ts'],
    ['a computed worker', 'new URL(name, import.meta.url);', 'computed new URL(name, import.meta.url)'],
    ['require', "require('node:child_process');", 'dynamic node:child_process'],
    ['a built-in by name', "process.getBuiltinModule('node:http');", 'dynamic node:http'],
    ['a resolved module', "import.meta.resolve('yargs');", 'dynamic yargs'],
    ['the environment', 'process.env.HOME;', 'env process.env'],
    ['the environment of a global', "globalThis.process['env'];", 'env process.env'],
    ['the environment taken apart', 'const { env } = process;', 'env process.env'],
  ])('%s', (_what, source, expected) => {
    const found = referencesOf('src/keys/key.ts', source);

    expect(found.map(({ kind, target }) => `${kind} ${target}`)).toEqual([expected]);
  });

  test('the environment imported by name', () => {
    const kinds = referencesOf('src/a.ts', "import { env } from 'node:process';").map(({ kind }) => kind);

    expect(kinds).toEqual(['static', 'env']);
  });

  test('no more than that', () => {
    const source = `
      import.meta.env;
      new URL('https://example.com/a.ts');
      new URL('./page.html', import.meta.url);
      path.resolve('/');
      const env = given.env;
      const text = "import x from 'yargs'";
      export const local = 1;
    `;

    expect(referencesOf('src/a.ts', source)).toEqual([]);
  });

  test('where it does', () => {
    const [reference] = referencesOf('src/a.ts', "\n\nimport 'zod';");

    expect(reference?.line).toBe(3);
  });

  test('a file that does not parse is an error', () => {
    expect(() => referencesOf('src/a.ts', 'import from')).toThrow('src/a.ts');
  });
});
