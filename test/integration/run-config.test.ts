import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { canary } from '../support/canary.ts';
import { eventually, gatewaySecret, type Host, setup } from '../support/host.ts';

describe('the gateway config is read', () => {
  it.each([
    ['as plain JSON', (json: string) => json],
    ['as base64 of JSON', (json: string) => Buffer.from(json).toString('base64')],
    ['as SecretBinary', (json: string) => Buffer.from(json)],
  ])('%s', async (_form, encode) => {
    const host = await setup({ encode });

    await host.started();

    expect(host.delivered() === host.password.value).toBe(true);
  });
});

describe('a gateway config that is not valid at the start', () => {
  it('ends it with exit code 78 and says all problems with their paths, and no value', async () => {
    const marker = canary('marker', { plain: true });
    const host = await setup({
      gateway(document) {
        document.secrets['broken'] = { secretsManager: { secretId: 5, surplus: marker.value } };
        document.deliveries.push({ secret: 'database-password', file: marker.value, mode: marker.value });
        document['events'] = { logGroup: 'web', sources: { app: { files: [marker.value] } } };
      },
    });

    const { code, stderr, stdout } = await host.start().finished;

    const words = stderr.slice(stderr.indexOf('error: '));
    expect(words).toContain('(GATEWAY_CONFIG_INVALID)');
    expect(words).toMatch(/^hint: /mu);
    for (const path of [
      'secrets.broken.secretsManager.secretId',
      'secrets.broken.secretsManager.surplus',
      'deliveries[1].file',
      'deliveries[1].mode',
      'events.sources.app.files[0]',
    ]) {
      expect(words).toContain(`  ${path}: `);
    }
    expect(`${stdout}${stderr}`.includes(marker.value)).toBe(false);
    expect(code).toBe(78);
  });

  it('that was cut short is told by line and column', async () => {
    const host = await setup({ encode: (json) => json.slice(0, -20) });

    const { code, stderr } = await host.start().finished;

    expect(stderr).toContain('(GATEWAY_CONFIG_NOT_JSON)');
    expect(stderr).toMatch(/line 1; column \d+/u);
    expect(code).toBe(78);
  });

  it('that reaches beyond what the bootstrap config allows is refused', async () => {
    const host = await setup({
      gateway({ deliveries, events }) {
        deliveries.push({ secret: 'database-password', file: '/etc/cron.d/job' });
        if (events !== undefined) events.sources['shadow'] = { files: ['/etc/shadow'] };
      },
    });

    const { code, stderr } = await host.start().finished;

    expect(stderr).toContain('(GATEWAY_CONFIG_INVALID)');
    expect(stderr).toContain('  deliveries[1].file: ');
    expect(stderr).toContain('  events.sources.shadow.files[0]: ');
    expect(code).toBe(78);
  });

  it('that does not exist is said with the name of its secret', async () => {
    const host = await setup({ bootstrap: { gatewayConfig: { secretName: 'prod/gatehouse/mistyped' } } });

    const { code, stderr } = await host.start().finished;

    expect(stderr).toContain('(SECRET_NOT_FOUND)');
    expect(stderr).toContain('prod/gatehouse/mistyped');
    expect(code).toBe(78);
  });
});

describe('a new version of the gateway config, on SIGHUP', () => {
  it('is refused when it is bad, and the running one stays', async () => {
    const host = await setup();
    const agent = await host.started();
    const before = (await host.status()).config?.versionId;
    await host.putGateway((document) => {
      document.version = 1;
      document.deliveries.push({ secret: 'no-such-secret', file: join(host.runtimeDirectory, 'x') });
    });

    agent.kill('SIGHUP');
    const refused = await agent.event('config.refused');

    expect(JSON.stringify(refused)).toContain('deliveries[1].secret');
    const status = await host.status();
    expect(status.state).toBe('degraded');
    expect(status.failing).toStrictEqual(['config']);
    expect(status.config?.refused).toBe('GATEWAY_CONFIG_INVALID');
    expect(status.config?.versionId).toBe(before);
    expect(host.delivered() === host.password.value).toBe(true);
  });

  it('is applied live when it is good, also after a bad one', async () => {
    const host = await setup();
    const second = join(host.runtimeDirectory, 'secrets', 'user');
    const agent = await host.started();
    await host.operator.putSecret(gatewaySecret, 'no config at all');
    agent.kill('SIGHUP');
    await agent.event('config.refused');
    await host.putGateway(({ secrets, deliveries }) => {
      secrets['user'] = { secretsManager: { secretId: 'prod/database', jsonField: 'user' } };
      deliveries.push({ secret: 'user', file: second });
    });

    agent.kill('SIGHUP');
    await agent.event('config.applied', ({ changed }) => JSON.stringify(changed) !== '[]');

    expect(host.delivered(second)).toBe('app');
    const status = await host.status();
    expect(status.state).toBe('ready');
    expect(status.config?.refused).toBeUndefined();
    expect(status.config?.restartNeeded).toStrictEqual([]);
  });

  it('that changes what needs a restart is applied as far as it goes, and the rest is said', async () => {
    const host = await setup();
    const second = join(host.runtimeDirectory, 'secrets', 'again');
    const agent = await host.started();
    await host.putGateway(({ deliveries, events }) => {
      deliveries.push({ secret: 'database-password', file: second });
      if (events !== undefined) events['retentionDays'] = 30;
    });

    agent.kill('SIGHUP');
    await agent.event('config.restart-needed');

    await eventually('the audit record', () =>
      host.messages('agent').some((record) => record.includes('config.restart-needed')),
    );
    expect(host.delivered(second) === host.password.value).toBe(true);
    expect((await host.status()).config?.restartNeeded).toStrictEqual(['events.retentionDays']);
  });
});

describe('a secret of the wrong type', () => {
  it.each([
    ['is not JSON', 'plain text', 'SECRET_NOT_JSON'],
    ['lacks the field', '{"user":"app"}', 'SECRET_FIELD_MISSING'],
    ['has an object in the field', '{"password":{"value":1}}', 'SECRET_FIELD_TYPE'],
  ])(
    'that %s degrades the agent; the others are delivered; mended, it is delivered too',
    async (_case, value, code) => {
      const { host, otherFile } = await hostWithAnotherSecret(value);
      const agent = await host.started();

      const failed = await agent.event('secret.read-failed');
      expect(failed).toMatchObject({ secret: 'other', error: { code } });
      expect(host.delivered() === host.password.value).toBe(true);
      const degraded = await host.status();
      expect(degraded.state).toBe('degraded');
      expect(degraded.failing).toStrictEqual(['secret other', `delivery ${otherFile}`]);
      expect(degraded.secrets.find(({ name }) => name === 'other')?.failing).toBe(code);

      await host.operator.putSecret('prod/other', '{"password":"mended"}');
      agent.kill('SIGHUP');
      await agent.event('delivery.recovered');
      expect(host.delivered(otherFile)).toBe('mended');
      expect((await host.status()).state).toBe('ready');
    },
  );

  it('appearing later leaves the delivered value in place', async () => {
    const { host, otherFile } = await hostWithAnotherSecret('{"password":"good"}');
    const agent = await host.started();

    await host.operator.putSecret('prod/other', '{"password":null}');
    agent.kill('SIGHUP');
    await agent.event('secret.read-failed');

    expect(host.delivered(otherFile)).toBe('good');
    expect((await host.status()).failing).toStrictEqual(['secret other']);
  });
});

async function hostWithAnotherSecret(value: string): Promise<{ host: Host; otherFile: string }> {
  let otherFile = '';
  const host = await setup();
  otherFile = join(host.runtimeDirectory, 'secrets', 'other');
  await host.operator.createSecret('prod/other', value);
  await host.putGateway(({ secrets, deliveries }) => {
    secrets['other'] = { secretsManager: { secretId: 'prod/other', jsonField: 'password' } };
    deliveries.push({ secret: 'other', file: otherFile });
  });
  return { host, otherFile };
}
