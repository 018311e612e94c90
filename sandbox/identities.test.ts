import { describe, expect, it } from 'vitest';
import { accessKeysMax, createIdentities } from './identities.ts';

function setup() {
  let time = new Date('2026-11-22T12:00:00.700Z').getTime();
  const identities = createIdentities('123456789012', () => new Date(time));
  identities.createRole('Host');
  const issue = (durationSeconds = 900) =>
    identities.issueSession({ role: 'Host', sessionName: 'test', durationSeconds });
  const advance = (ms: number): void => {
    time += ms;
  };
  return { identities, issue, advance };
}

const arn = (resource: string, service = 'iam') => `arn:aws:${service}::111122223333:${resource}`;

describe('identities', () => {
  it('have the shapes of IAM', () => {
    const { identities, issue } = setup();

    expect(identities.createUser('alice')).toMatchObject({
      arn: 'arn:aws:iam::123456789012:user/alice',
      userId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/u),
      accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/u),
      secretAccessKey: expect.stringMatching(/^.{40}$/u),
    });
    expect(issue().accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/u);
    expect(issue().expiration.toISOString()).toBe('2026-11-22T12:15:00.000Z');
  });

  it('give a user a second key and keep the first', () => {
    const { identities } = setup();
    const first = identities.createUser('alice');

    const second = identities.createUser('alice');

    expect(second.userId).toBe(first.userId);
    expect(second.accessKeyId).not.toBe(first.accessKeyId);
    expect(identities.find(first.accessKeyId)?.principalArn).toBe(first.arn);
  });

  it('forget the oldest temporary key, never a long-term one, when there are too many', () => {
    const { identities, issue } = setup();
    const user = identities.createUser('alice');
    const oldest = issue();
    const next = issue();
    for (let more = 0; more < accessKeysMax - 2; more += 1) issue();

    expect(identities.find(user.accessKeyId)).toBeDefined();
    expect(identities.find(oldest.accessKeyId)).toBeUndefined();
    expect(identities.find(next.accessKeyId)).toBeDefined();
  });

  it('expire one or all temporary keys on command, and count those that were alive', () => {
    const { identities, issue, advance } = setup();
    const user = identities.createUser('alice');
    const short = issue(1);
    const one = issue();
    const other = issue();
    advance(1000);

    expect(identities.expire(short.accessKeyId)).toBe(0);
    expect(identities.expire(one.accessKeyId)).toBe(1);
    expect(identities.expire()).toBe(1);
    expect(identities.find(other.accessKeyId)?.expiresAt).toBe(Date.parse('2026-11-22T12:00:01.700Z'));
    expect(identities.find(user.accessKeyId)?.expiresAt).toBeUndefined();
  });

  it('knows which principals a policy may name', () => {
    const identities = createIdentities('111122223333', () => new Date());
    identities.createUser('operator');
    identities.createRole('Host');
    const here = [arn('root'), arn('user/operator'), arn('role/Host'), arn('assumed-role/Host/i-1', 'sts')];
    const missing = [
      arn('user/Host'),
      arn('role/operator'),
      arn('assumed-role/Typo/i-1', 'sts'),
      arn('group/x'),
      'x',
    ];

    expect(here.filter((one) => !identities.isPrincipal(one))).toEqual([]);
    expect(missing.filter((one) => identities.isPrincipal(one))).toEqual([]);
    expect(identities.isPrincipal('arn:aws:iam::999988887777:role/Any')).toBe(true);
  });
});
