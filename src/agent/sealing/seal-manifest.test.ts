import { describe, expect, it } from 'vitest';
import { manifestOf } from './seal-manifest.ts';

const entry = { name: 'tls-key', in: 'key.pem', out: '/etc/gatehouse/tls-key.sealed' };
const manifest = (content: unknown) =>
  manifestOf(Buffer.from(JSON.stringify(content)), '/work/manifest.json');

describe('a manifest', () => {
  it('names files from where it lies', () => {
    expect(manifest({ secrets: [entry] })).toEqual([{ ...entry, in: '/work/key.pem' }]);
  });

  it.each([
    ['nothing', {}, 'secrets'],
    ['no secrets', { secrets: [] }, 'secrets'],
    ['a name that is none', { secrets: [{ ...entry, name: 'a b' }] }, 'secrets.0.name'],
    ['something unknown', { secrets: [{ ...entry, inn: 'x' }] }, 'secrets.0'],
    ['one file twice', { secrets: [entry, { ...entry, name: 'other' }] }, '/etc/gatehouse/tls-key.sealed'],
  ])('with %s is refused, with the place', (_what, content, path) => {
    expect(() => manifest(content)).toThrow(
      expect.objectContaining({
        code: 'MANIFEST_INVALID',
        details: expect.objectContaining({ problems: [expect.objectContaining({ path })] }),
      }),
    );
  });

  it('that is a secret by mistake is not quoted', () => {
    let failure: unknown;
    try {
      manifestOf(Buffer.from('hunter2'), '/work/secret');
    } catch (error) {
      failure = error;
    }

    expect(failure).toMatchObject({ code: 'MANIFEST_INVALID' });
    expect(JSON.stringify(failure)).not.toContain('hunter2');
  });
});
