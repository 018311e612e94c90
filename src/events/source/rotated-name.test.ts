import { expect, test } from 'vitest';
import { isGenerationOf, isNamedLikeCopy, rotatedFrom } from './rotated-name.ts';

test.each([
  ['app.log.1', true],
  ['app.log.12.gz', true],
  ['app.log-20261126', true],
  ['app.log-20261126-1795000000.zst', true],
  ['app.log.2026-11-26_10', true],
  ['app.log.2026-11-26', true],
  ['app.log.old', true],
  ['app-20261126.log', true],
  ['app-20261126.log.gz', true],
  ['app-2.log', false],
  ['app-error.log', false],
  ['app.log.bak', false],
  ['app.logs', false],
  ['app.log', false],
  ['other.log.1', false],
  ['web-20261126.log', false],
  ['app-20261126.txt', false],
])('whether %s is a generation of app.log: %s', (name, expected) => {
  expect(isGenerationOf(`/var/log/${name}`, '/var/log/app.log')).toBe(expected);
});

test.each([
  ['messages-20261126', true],
  ['messages.1.gz', true],
  ['secure-20261126', false],
  ['secure', false],
])('whether %s is a generation of messages, which has no extension: %s', (name, expected) => {
  expect(isGenerationOf(`/var/log/${name}`, '/var/log/messages')).toBe(expected);
});

test.each([
  ['app.log.1', 'app.log', true],
  ['app-20261122.log', 'app.log', true],
  ['job-2.log', 'job-1.log', false],
  ['apple.log', 'app.log', false],
])('whether %s is named like a copy of %s: %s', (name, original, expected) => {
  expect(isNamedLikeCopy(`/var/log/${name}`, `/var/log/${original}`)).toBe(expected);
});

test.each([
  ['app.log.1', ['app.log']],
  ['app.log.12.gz', ['app.log']],
  ['app.log-20261126-1795000000.zst', ['app.log']],
  ['app.log.2026-11-26_10', ['app.log']],
  ['app.log.old', ['app.log']],
  ['app-20261126.log.gz', ['app.log']],
  ['app-20261126.log.1', ['app-20261126.log']],
  ['app-2.log', []],
  ['app.log', []],
  ['app.log.gz', []],
  ['20261126', []],
])('%s was rotated from %j, as far as its name tells', (name, expected) => {
  expect(rotatedFrom(`/var/log/${name}`)).toEqual(expected.map((each) => `/var/log/${each}`));
});
