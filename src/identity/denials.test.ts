import { describe, expect, test } from 'vitest';
import { fakeClock } from '../../test/support/fake-clock.ts';
import type { LogEvent } from '../base/log-events.ts';
import { Secret } from '../base/secret.ts';
import { type Denial, denials } from './denials.ts';
import { identityError, type identityErrors } from './errors.ts';

const minuteMs = 60_000;
const signal = new AbortController().signal;

/** Credentials whose source gives new ones at each renewal, or the same, or an error. */
function setup() {
  const clock = fakeClock();
  const logged: LogEvent[] = [];
  const world = {
    key: 1,
    renewals: 0,
    isStuck: false,
    trouble: undefined as keyof typeof identityErrors | undefined,
  };
  const source = {
    state: () => ({ accessKeyId: `ASIA${world.key}` }),
    async renew() {
      world.renewals += 1;
      await clock.sleep(1, signal);
      if (world.trouble !== undefined) throw identityError(world.trouble);
      if (!world.isStuck) world.key += 1;
      return { accessKeyId: `ASIA${world.key}`, secretAccessKey: Secret.ofText('s'), source: 'fake' };
    },
  };
  const denied = denials(source, { clock, log: (event) => logged.push(event), random: () => 0.5 });
  const renew = async (changes: Partial<Denial> = {}): Promise<unknown> => {
    const renewing = denied
      .renew(denialOf(`ASIA${world.key}`, changes), signal)
      .catch((error: unknown) => error);
    await clock.advance(10);
    return renewing;
  };
  const names = (): string[] => logged.map(({ name }) => name);
  return { clock, world, denied, renew, names, logged };
}

function denialOf(accessKeyId: string, changes: Partial<Denial> = {}): Denial {
  return {
    service: 'KMS',
    awsError: 'ExpiredTokenException',
    accessKeyId,
    mayBePermission: false,
    ...changes,
  };
}

describe('credentials that AWS denies', () => {
  test('are renewed once for all calls that met it, and the calls are worth repeating', async () => {
    const { denied, clock, world, names } = setup();

    const all = Promise.all(Array.from({ length: 100 }, () => denied.renew(denialOf('ASIA1'), signal)));
    await clock.advance(10);
    const late = await denied.renew(denialOf('ASIA1'), signal);

    expect([...(await all), late]).toEqual(Array.from({ length: 101 }, () => true));
    expect(world.renewals).toBe(1);
    expect(names()).toEqual(['credentials.renewed-early']);
    expect(denied.state()).toBeUndefined();
  });

  test('and whose successors are denied too are a state of its own, said once each way', async () => {
    const { denied, clock, renew, names, logged } = setup();

    await renew();
    denied.again(denialOf('ASIA2'));
    denied.again(denialOf('ASIA2'));
    const during = denied.state();
    await clock.advance(3 * minuteMs);
    denied.accepted('Secrets Manager', 'ASIA2');
    const stillDenied = denied.state();
    denied.accepted('KMS', 'ASIA2');
    denied.accepted('KMS', 'ASIA2');

    expect(during).toEqual({ service: 'KMS', awsError: 'ExpiredTokenException', since: expect.any(Date) });
    expect(stillDenied).toEqual(during);
    expect(denied.state()).toBeUndefined();
    expect(names()).toEqual(['credentials.renewed-early', 'credentials.denied', 'credentials.accepted']);
    expect(logged.at(-1)?.fields).toEqual({ service: 'KMS', deniedForMs: 3 * minuteMs });
  });

  test('are denied no longer once any service takes others, whoever denied them', async () => {
    const { denied, renew, names } = setup();

    await renew();
    denied.again(denialOf('ASIA2'));
    denied.again(denialOf('ASIA3'));
    denied.accepted('STS', 'ASIA3');
    denied.accepted('STS', undefined);
    const during = denied.state();
    denied.accepted('STS', 'ASIA4');

    expect(during).toMatchObject({ service: 'KMS' });
    expect(denied.state()).toBeUndefined();
    expect(names()).toEqual(['credentials.renewed-early', 'credentials.denied', 'credentials.accepted']);
  });

  test('are not renewed at each call while they are denied, but a few times an hour', async () => {
    const { denied, clock, world, renew } = setup();

    for (let minute = 0; minute < 24 * 60; minute += 1) {
      if ((await renew()) === true) denied.again(denialOf(`ASIA${world.key}`));
      await clock.advance(minuteMs);
    }

    expect(world.renewals).toBeGreaterThan(48);
    expect(world.renewals).toBeLessThan(150);
  });

  test('are not renewed again within seconds, even when it helps for a moment', async () => {
    const { clock, world, renew } = setup();

    const answers = [await renew(), await renew()];
    await clock.advance(5000);
    answers.push(await renew());

    expect(answers).toEqual([true, false, true]);
    expect(world.renewals).toBe(2);
  });

  test('are denied when their source has no others', async () => {
    const { denied, world, renew } = setup();
    world.isStuck = true;

    expect(await renew()).toBe(false);
    expect(await renew()).toBe(false);

    expect(world.renewals).toBe(1);
    expect(denied.state()).toMatchObject({ service: 'KMS' });
  });

  test('are renewed at the next denial when somebody says that they are mended', async () => {
    const { denied, world, renew } = setup();
    world.isStuck = true;
    await renew();
    world.isStuck = false;

    expect(await renew()).toBe(false);
    denied.retry();

    expect(await renew()).toBe(true);
  });

  test('are denied when their source is refused as well, with what it met', async () => {
    const { denied, world, renew, logged } = setup();
    world.trouble = 'CREDENTIALS_REFUSED';

    expect(await renew()).toMatchObject({ code: 'CREDENTIALS_REFUSED' });

    expect(denied.state()).toMatchObject({ awsError: 'ExpiredTokenException' });
    expect(logged.at(-1)).toMatchObject({
      name: 'credentials.denied',
      fields: { error: { code: 'CREDENTIALS_REFUSED' } },
    });
  });

  test('are not called denied when their source is only out of reach, and it is asked again soon', async () => {
    const { denied, clock, world, renew } = setup();
    world.trouble = 'CREDENTIALS_METADATA_UNREACHABLE';

    await renew();
    expect(denied.state()).toBeUndefined();
    world.trouble = undefined;
    await clock.advance(minuteMs);

    expect(await renew()).toBe(true);
  });

  test('may lack a permission instead: then they are renewed once, and not called denied', async () => {
    const { denied, clock, world, renew } = setup();
    const permission = { awsError: 'AccessDeniedException', mayBePermission: true };

    for (let minute = 0; minute < 5 * 60; minute += 1) {
      if ((await renew(permission)) === true) denied.again(denialOf(`ASIA${world.key}`, permission));
      await clock.advance(minuteMs);
    }

    expect(world.renewals).toBe(1);
    expect(denied.state()).toBeUndefined();
    // What is no matter of permissions is renewed all the same.
    expect(await renew()).toBe(true);
  });
});
