import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../test/support/temporary-directory.ts';
import { secretsError } from './errors.ts';
import { type SealedContext, sealedFile } from './sealed-file.ts';
import { secretSourceContract } from './secret-source.contract.ts';

const never = new AbortController().signal;
const ours = { 'gatehouse:name': 'tls-key', 'gatehouse:purpose': 'sealed-file', 'gatehouse:version': '3' };

/** Sealing that hides nothing: the context as a line of JSON, then the value. */
function setup() {
  const path = join(temporaryDirectory(), 'tls-key.sealed');
  const opened: SealedContext[] = [];
  const seen = { version: 0 };
  const source = sealedFile({
    agentName: 'web-1',
    async readFile(file, signal) {
      signal.throwIfAborted();
      try {
        return await readFile(file);
      } catch (error) {
        throw secretsError('SECRET_UNKNOWN', {}, error);
      }
    },
    contextOf: (sealed) => JSON.parse(sealed.subarray(0, sealed.indexOf('\n')).toString()),
    async open(sealed, context) {
      opened.push(context);
      return Buffer.from(sealed.subarray(sealed.indexOf('\n') + 1));
    },
    async admit({ version }) {
      if (version < seen.version) throw secretsError('SECRET_ROLLED_BACK', { version });
    },
  });
  const put = (value: Buffer, context: SealedContext = ours) =>
    writeFile(path, Buffer.concat([Buffer.from(`${JSON.stringify(context)}\n`), value]));
  const reference = { name: 'tls-key', path };
  return { source, reference, absent: { name: 'absent', path: `${path}.absent` }, put, opened, seen };
}

secretSourceContract('sealedFile', setup);

describe('sealedFile', () => {
  it('opens with the whole context, its version among it, and tells that version', async () => {
    const { source, reference, put, opened } = setup();
    await put(Buffer.from('x'));

    const { version } = await source.read(reference, never);

    expect(opened).toEqual([ours]);
    expect(version).toMatch(/^3-[0-9a-f]{8}$/u);
  });

  it('opens a file that is bound to this host', async () => {
    const { source, reference, put, opened } = setup();
    await put(Buffer.from('x'), { ...ours, 'gatehouse:agent': 'web-1' });

    await source.read(reference, never);

    expect(opened).toEqual([{ ...ours, 'gatehouse:agent': 'web-1' }]);
  });

  it.each([
    ['another name', { ...ours, 'gatehouse:name': 'other' }],
    ['another purpose', { ...ours, 'gatehouse:purpose': 'last-known-good' }],
    ['another host', { ...ours, 'gatehouse:agent': 'web-2' }],
    ['a version that is no number', { ...ours, 'gatehouse:version': 'x' }],
    ['no version', { 'gatehouse:name': 'tls-key', 'gatehouse:purpose': 'sealed-file' }],
    ['something unknown beside', { ...ours, 'other:pair': 'x' }],
  ])('never opens what was sealed for %s', async (_what, context) => {
    const { source, reference, put, opened } = setup();
    await put(Buffer.from('x'), context);

    await expect(source.read(reference, never)).rejects.toMatchObject({
      code: 'SECRET_SEALED_FOR_OTHER_USE',
    });
    expect(opened).toEqual([]);
  });

  it('gives out nothing of a version that is not admitted', async () => {
    const { source, reference, put, seen } = setup();
    await put(Buffer.from('x'));
    seen.version = 4;

    await expect(source.read(reference, never)).rejects.toMatchObject({
      code: 'SECRET_ROLLED_BACK',
      details: { version: 3 },
    });
  });
});
