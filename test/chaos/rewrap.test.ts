import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { gatehouse, startProgram } from '../support/agent.ts';
import { tell } from '../support/dice.ts';
import { bindingKey, eventually, type Host, setup } from '../support/host.ts';
import { done, sealed, unsealed } from '../support/master-key-commands.ts';

const rsaKey = 'alias/gatehouse-rsa';

it('a rewrap from a symmetric key to RSA, killed in each of its calls to AWS, leaves every generation open', async () => {
  const host = await setup();
  await host.operator.createKey(rsaKey, 'RSA_2048');
  await host.operator.createKeysTable('fleet-keys');
  await done(host, 'create', '--table', 'fleet-keys');
  const older = await sealed(host, 'one', 'older');
  const copy = readFileSync(older);
  await done(host, 'reencrypt');
  // A copy from before the change, which the retired generation opens.
  writeFileSync(`${older}.copy`, copy);

  let cuts = 0;
  for (const service of ['kms', 'dynamodb'] as const) {
    for (let nth = 1; ; nth += 1) {
      if (!(await isCutOff(host, { service, nth }))) break;
      cuts += 1;
      expect(await done(host, 'status'), `${service} ${nth}`).toMatchObject({ isReachable: true });
      expect(await unsealed(host, older), `${service} ${nth}`).toBe('older');
      expect(await unsealed(host, `${older}.copy`), `${service} ${nth}`).toBe('older');
      // Whoever died holds the registry for ten minutes.
      await host.operator.leaseKeys('fleet-keys', 'web-1', 'nobody', new Date(0));
      await done(host, 'rewrap', '--key-id', rsaKey);
      expect(await done(host, 'status')).toMatchObject({ registry: { state: 'agrees' } });
      await done(host, 'rewrap', '--key-id', bindingKey);
    }
  }
  tell(`a rewrap was killed in each of its ${cuts} calls`);
  expect(cuts).toBeGreaterThan(10);
});

it('a rewrap killed at each thing that it does to a file leaves every generation open', async () => {
  const host = await setup();
  await host.operator.createKey('alias/next');
  await done(host, 'create');
  const older = await sealed(host, 'one', 'older');
  const copy = readFileSync(older);
  await done(host, 'reencrypt');
  writeFileSync(`${older}.copy`, copy);
  const preload = new URL('./kill-at-file-step.mjs', import.meta.url).href;
  const rewrap = (keyId: string) => ['master-key', 'rewrap', '--key-id', keyId, '--config', host.configFile];

  const killed = (keyId: string, at: number) => {
    const env = { NODE_OPTIONS: `--import=${preload}`, GATEHOUSE_TEST_KILL_AT: String(at) };
    return gatehouse(rewrap(keyId), { env: { ...host.env, ...env } });
  };

  let cuts = 0;
  // Back and forth, so that each of them has something to do.
  const next = () => (cuts % 2 === 0 ? 'alias/next' : bindingKey);
  let last = await killed(next(), 1);
  while (last.code === null) {
    cuts += 1;
    expect(await unsealed(host, older), `step ${cuts}`).toBe('older');
    expect(await unsealed(host, `${older}.copy`), `step ${cuts}`).toBe('older');
    last = await killed(next(), cuts + 1);
  }
  expect(last).toMatchObject({ code: 0 });
  tell(`a rewrap was killed at each of ${cuts} things that it does to files`);
  expect(cuts).toBeGreaterThan(10);
  expect(leftoverKeys(host)).toEqual([]);
});

/** What a killed rewrap left of new wrapped keys. */
function leftoverKeys(host: Host): string[] {
  return readdirSync(join(host.stateDirectory, 'master-key')).filter((name) => name.endsWith('.tmp'));
}

/** Kills a rewrap under the RSA key in its n-th call of a service; false where it has fewer. */
async function isCutOff(
  host: Host,
  call: { readonly service: 'kms' | 'dynamodb'; readonly nth: number },
): Promise<boolean> {
  const fault = host.sandbox.faults.add({ ...call, effect: { kind: 'latency', ms: 600_000 } });
  const args = ['master-key', 'rewrap', '--key-id', rsaKey, '--config', host.configFile];
  const running = startProgram(args, host.env);
  const isHit = (): boolean => (host.sandbox.faults.list().find(({ id }) => id === fault)?.hits ?? 0) > 0;
  const hit = eventually(`call ${call.nth} of ${call.service}`, () => isHit() || undefined);
  await Promise.race([hit.catch(() => undefined), running.finished]);
  const wasHit = isHit();
  running.kill('SIGKILL');
  await running.finished;
  host.sandbox.faults.remove(fault);
  return wasHit;
}
