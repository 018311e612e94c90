import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from './secret.ts';

const value = 'correct horse battery staple';

test('a secret prints as [secret] in every form', () => {
  const secret = Secret.ofText(value);
  const wrapped = { deep: [secret], cause: new Error('x', { cause: secret }) };

  const printed = [
    String(secret),
    '' + secret,
    JSON.stringify(wrapped),
    inspect(wrapped, { depth: 9, showHidden: true }),
    Object.entries(secret).join(),
    Object.values(structuredCloneOrEmpty(secret)).join(),
  ].join('\n');

  expect(printed).toContain('[secret]');
  expect(printed).not.toContain('horse');
  expect(printed).not.toContain(Buffer.from('horse').toString('hex'));
});

test('it gives its value to who asks for it by name', () => {
  expect(Secret.ofText(value).revealText()).toBe(value);
  expect(Secret.ofBytes(Buffer.from([0, 255, 1])).revealBytes()).toEqual(Buffer.from([0, 255, 1]));
});

test('it keeps a copy of its own, and overwrites that one', () => {
  const given = Buffer.from(value);
  const secret = Secret.ofBytes(given);
  const revealed = secret.revealBytes();

  secret.dispose();

  expect(given.toString()).toBe(value);
  expect(revealed.every((byte) => byte === 0)).toBe(true);
});

test('two secrets are equal when their bytes are', () => {
  expect(Secret.ofText(value).equals(Secret.ofText(value))).toBe(true);
  expect(Secret.ofText(value).equals(Secret.ofText(`${value}.`))).toBe(false);
});

function structuredCloneOrEmpty(secret: Secret): object {
  return structuredClone(secret);
}
