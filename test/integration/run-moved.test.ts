import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bindingKey, type Host, setup } from '../support/host.ts';

it('a delivery that leaves the config is removed from the host, and that is audited', async () => {
  const host = await setup();
  const agent = await host.started();
  expect(host.delivered()).toBe(host.password.value);

  await host.putGateway((document) => {
    document.deliveries = [];
  });
  agent.kill('SIGHUP');
  await agent.event('delivery.removed', ({ delivery }) => delivery === host.passwordFile);

  expect(host.delivered()).toBeUndefined();
  await agent.stop();
  expect(host.audit().map(({ event, outcome }) => [event, outcome])).toContainEqual([
    'delivery.removed',
    'success',
  ]);
});

it('a delivery that gets another file leaves nothing in the one before', async () => {
  const host = await setup();
  const next = join(host.runtimeDirectory, 'secrets', 'next');
  const agent = await host.started();

  await host.putGateway(({ deliveries }) => {
    deliveries[0] = { ...deliveries[0], file: next };
  });
  agent.kill('SIGHUP');
  await agent.event('delivery.removed');

  expect(host.delivered(next)).toBe(host.password.value);
  expect(host.delivered()).toBeUndefined();
});

it('a file that somebody else replaced stays when its delivery leaves the config', async () => {
  const host = await setup();
  const agent = await host.started();
  rmSync(host.passwordFile);
  writeFileSync(host.passwordFile, 'not ours');

  await host.putGateway((document) => {
    document.deliveries = [];
  });
  agent.kill('SIGHUP');

  const failed = await agent.event('delivery.remove-failed');
  expect(failed).toMatchObject({ error: { code: 'DELIVERY_CHANGED_BY_OTHERS' } });
  expect(host.delivered()).toBe('not ours');
});

it('what was delivered stays across a stop', async () => {
  const host = await setup();
  const agent = await host.started();

  await agent.stop();

  expect(host.delivered()).toBe(host.password.value);
});

it('a name that moves to a secret that cannot be read is not delivered with the value before', async () => {
  const host = await setup();
  const other = join(host.runtimeDirectory, 'secrets', 'other');
  const agent = await host.started();

  await host.putGateway(({ secrets, deliveries }) => {
    secrets['database-password'] = { secretsManager: { secretId: 'prod/nobody' } };
    deliveries.push({ secret: 'database-password', file: other });
  });
  agent.kill('SIGHUP');
  await agent.event('delivery.failed', ({ delivery }) => delivery === other);

  expect(host.delivered(other)).toBeUndefined();
  expect((await host.status()).failing).toContain('secret database-password');
});

it('a gateway config cannot take the control socket', async () => {
  const host = await setup();
  await host.putGateway(({ deliveries }) => {
    deliveries.push({ secret: 'database-password', file: join(host.runtimeDirectory, 'control.sock') });
  });

  const { code, stderr } = await host.start().finished;

  expect(stderr).toContain('  deliveries[1].file: is a name that the agent keeps for itself');
  expect(code).toBe(78);
});

it('after one start under a new binding key, the retired one can be dropped', async () => {
  const host = await setup();
  const first = host.keyArn(bindingKey);
  await (await host.started()).stop();
  const wrapped = keyFiles(host);
  await host.operator.createKey('alias/next');
  await host.putGateway((document) => {
    document.keys = { bindingKey: 'alias/next', trustedKeys: [first] };
  });
  const agent = await host.started();
  await agent.event('key.rewrapped');
  await agent.stop();
  await host.putGateway((document) => {
    document.keys = { bindingKey: 'alias/next' };
  });

  await (await host.started()).stop();

  expect(Object.keys(keyFiles(host))).toStrictEqual(Object.keys(wrapped));
  expect(keyFiles(host)).not.toStrictEqual(wrapped);
});

/** The wrapped data keys of the spool, by id. */
function keyFiles({ stateDirectory }: Host): Record<string, string> {
  const folder = join(stateDirectory, 'spool-keys');
  return Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
  );
}
