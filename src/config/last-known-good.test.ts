import { describe, expect, test } from 'vitest';
import { type Answer, answerIn, copyContext, copyFile, messageIn, type Question } from './last-known-good.ts';

const question: Question = {
  secretName: 'prod/web',
  versionStage: 'AWSCURRENT',
  region: 'eu-west-1',
  hostId: '0b6f9a52-0b1c-4a6e-9f0e-000000000001',
  agentName: 'web-1',
};
const answer: Answer = { versionId: 'v1', sealedAt: new Date('2026-11-22T12:00:00.000Z') };

describe('what a copy is bound to', () => {
  test('is the question that it answers, and which answer it is', () => {
    const context = copyContext(question, answer);

    expect(context).toEqual({
      'gatehouse:purpose': 'last-known-good',
      'gatehouse:secret': 'prod/web',
      'gatehouse:stage': 'AWSCURRENT',
      'gatehouse:region': 'eu-west-1',
      'gatehouse:host': question.hostId,
      'gatehouse:agent': 'web-1',
      'gatehouse:version-id': 'v1',
      'gatehouse:sealed-at': '2026-11-22T12:00:00.000Z',
    });
    expect(answerIn(context, question)).toEqual(answer);
  });

  test('bears no name where the host has none of its own', () => {
    const nameless = { ...question, agentName: undefined };

    expect(copyContext(nameless, answer)).not.toHaveProperty('gatehouse:agent');
    expect(() => answerIn(copyContext(question, answer), nameless)).toThrow(
      expect.objectContaining({ code: 'GATEWAY_CONFIG_COPY_FOREIGN' }),
    );
  });

  test.each([
    ['secretName', 'gatehouse:secret'],
    ['versionStage', 'gatehouse:stage'],
    ['region', 'gatehouse:region'],
    ['hostId', 'gatehouse:host'],
    ['agentName', 'gatehouse:agent'],
  ] as const)('of another %s is refused, and what differs is named', (key, pair) => {
    const context = copyContext({ ...question, [key]: 'other' }, answer);

    expect(() => answerIn(context, question)).toThrow(
      expect.objectContaining({ code: 'GATEWAY_CONFIG_COPY_FOREIGN', details: { differing: [pair] } }),
    );
  });

  test('for another purpose, or with more than that, is refused', () => {
    const context = copyContext(question, answer);

    for (const changed of [
      { ...context, 'gatehouse:purpose': 'sealed-file' },
      { ...context, 'gatehouse:more': 'x' },
    ]) {
      expect(() => answerIn(changed, question)).toThrow(
        expect.objectContaining({ code: 'GATEWAY_CONFIG_COPY_FOREIGN' }),
      );
    }
  });

  test.each([
    ['no version', { 'gatehouse:version-id': '' }],
    ['no date', { 'gatehouse:sealed-at': 'yesterday' }],
    ['a date in another form', { 'gatehouse:sealed-at': '2026-11-22' }],
  ])('with %s is damaged', (_what, changed) => {
    expect(() => answerIn({ ...copyContext(question, answer), ...changed }, question)).toThrow(
      expect.objectContaining({ code: 'GATEWAY_CONFIG_COPY_DAMAGED' }),
    );
  });
});

describe('the file of a copy', () => {
  const message = Buffer.from('\x02\x04\x78 a sealed message\nwith a line end', 'latin1');
  const damaged = expect.objectContaining({ code: 'GATEWAY_CONFIG_COPY_DAMAGED' }) as Error;

  test('says what it is in its first line, and holds the message as it is', () => {
    const file = copyFile(message);

    expect(JSON.parse(file.toString('latin1').split('\n', 1)[0] ?? '')).toEqual({
      format: 'gatehouse last known good',
      version: 1,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/u),
    });
    expect(messageIn(file)).toEqual(message);
  });

  test('with any bit flipped is found out', () => {
    const file = copyFile(message);
    for (let bit = 0; bit < file.length * 8; bit += 1) {
      const flipped = Buffer.from(file);
      const at = Math.floor(bit / 8);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (bit % 8)), at);

      expect(() => messageIn(flipped), `bit ${bit}`).toThrow(damaged);
    }
  });

  test('cut anywhere, or with something after its end, is found out', () => {
    const file = copyFile(message);
    for (let length = 0; length < file.length; length += 1) {
      expect(() => messageIn(file.subarray(0, length)), `${length} bytes`).toThrow(damaged);
    }
    expect(() => messageIn(Buffer.concat([file, Buffer.of(0)]))).toThrow(damaged);
  });

  test('of a newer version is not read as one of this', () => {
    const text = copyFile(message).toString('latin1').replace('"version":1', '"version":2');

    expect(() => messageIn(Buffer.from(text, 'latin1'))).toThrow(damaged);
  });
});
