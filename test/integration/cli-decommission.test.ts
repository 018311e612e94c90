import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { numbered, setup } from '../support/host.ts';

interface Found {
  readonly isRunning: boolean;
  readonly leftover: { readonly batches: number; readonly events: number };
  readonly gatewayConfig?: { readonly code: string };
  readonly onHost: readonly { readonly remarks: readonly string[] }[];
  readonly inAws: readonly { readonly what: string }[];
}

it('decommission --dry-run lists what there is and what is unsent, and changes nothing', async () => {
  const host = await setup({ bootstrap: { stopTimeoutSeconds: 2 } });
  host.sandbox.faults.add({
    service: 'logs',
    effect: { kind: 'error', name: 'ServiceUnavailableException' },
  });
  const agent = await host.started();
  host.log(numbered(5));
  await host.spooled(5);
  const during = JSON.parse((await host.run(['decommission', '--dry-run', '--json'])).stdout) as Found;
  await agent.stop();
  host.sandbox.calls.clear();

  const { code, stdout } = await host.run(['decommission', '--dry-run']);
  const after = JSON.parse((await host.run(['decommission', '--dry-run', '--json'])).stdout) as Found;

  expect(during.isRunning).toBe(true);
  expect(after.isRunning).toBe(false);
  expect(after.leftover.events).toBeGreaterThan(5);
  expect(code).toBe(0);
  expect(stdout).toContain(
    `# NOT SENT YET: ${after.leftover.events} events in ${after.leftover.batches} batches`,
  );
  expect(stdout).toContain(`\nrm -r -- ${host.stateDirectory}\n`);
  expect(stdout).toContain(
    '\naws logs delete-log-group --log-group-name /gatehouse/web-1 --region eu-west-1\n',
  );
  expect(spawnSync('/bin/sh', ['-n'], { input: stdout }).status).toBe(0);
  expect([host.stateDirectory, host.configFile, host.passwordFile].map((path) => existsSync(path))).toEqual([
    true,
    true,
    true,
  ]);
  expect(
    new Set(host.sandbox.calls.list({ service: 'secretsmanager' }).map(({ operation }) => operation)),
  ).toEqual(new Set(['GetSecretValue']));
});

it('decommission goes by the bootstrap config where AWS is away, and says what is missing', async () => {
  const host = await setup();
  host.sandbox.faults.add({
    service: 'secretsmanager',
    effect: { kind: 'error', name: 'AccessDeniedException' },
  });
  writeFileSync(join(host.disk, 'state'), '');

  const { code, stdout } = await host.run(['decommission', '--dry-run']);

  expect(code).toBe(0);
  expect(stdout).toContain('# The gateway config could not be read: ');
  expect(stdout).toContain('aws secretsmanager delete-secret --secret-id prod/gatehouse/web ');
});

it('decommission removes nothing by itself, and says so', async () => {
  const host = await setup();

  const { code, stderr, stdout } = await host.run(['decommission']);

  expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  expect(stderr).toContain('with --dry-run it lists the commands that do');
});
