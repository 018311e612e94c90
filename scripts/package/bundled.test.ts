import { describe, expect, it } from 'vitest';
import { packagePath } from './bundled.ts';

describe('the package of a source', () => {
  it.each([
    ['../node_modules/yargs/index.mjs', 'yargs'],
    ['../../main/node_modules/@aws-sdk/client-kms/dist-es/index.js', '@aws-sdk/client-kms'],
    ['../node_modules/a/node_modules/@b/c/d/e.js', 'a/node_modules/@b/c'],
    ['../src/main.ts', undefined],
  ])('%s is %s', (source, expected) => {
    expect(packagePath(source)).toBe(expected);
  });
});
