import { join } from 'node:path';
import { expect } from 'vitest';
import { type GatewayDocument, type Host, setup } from './host.ts';

/** Runs a `master-key` command that must do what it is told. */
export async function done(host: Host, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await host.run(['master-key', ...args, '--json']);
  expect({ args, code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** A host with a master key. */
export async function hostWithMasterKey(): Promise<Host> {
  const host = await setup();
  await done(host, 'create');
  return host;
}

/** A host with a master key of which the registry `fleet-keys` has a copy. */
export async function hostWithRegistry(): Promise<Host> {
  const host = await setup();
  await host.operator.createKeysTable('fleet-keys');
  await done(host, 'create', '--table', 'fleet-keys');
  return host;
}

/** What `master-key status` says, and its exit code. */
export async function masterKeyStatus(host: Host): Promise<Record<string, unknown>> {
  const { code, stdout } = await host.run(['master-key', 'status', '--json']);
  return { code, ...(JSON.parse(stdout) as Record<string, unknown>) };
}

/** The file that `seal` makes of a value. */
export async function sealed(
  host: Host,
  name: string,
  value: string,
  ...more: readonly string[]
): Promise<string> {
  const file = join(host.disk, `${name}.sealed`);
  const made = await host.run(['seal', '--name', name, '--in', '-', '--out', file, ...more], value);
  expect(made).toMatchObject({ code: 0 });
  return file;
}

/** What `unseal` makes of it. */
export async function unsealed(host: Host, file: string): Promise<string> {
  return (await host.run(['unseal', file])).stdout;
}

/** Changes the gateway config to one with these sealed files, each delivered. */
export function withFiles(host: Host, files: Readonly<Record<string, string>>) {
  return (document: GatewayDocument): void => {
    for (const [name, file] of Object.entries(files)) {
      document.secrets[name] = { sealedFile: file };
      document.deliveries.push({ secret: name, file: deliveredPath(host, name) });
    }
  };
}

/** Where `withFiles` has a secret delivered. */
export const deliveredPath = (host: Host, name: string): string =>
  join(host.runtimeDirectory, 'secrets', name);

export function decrypts(host: Host): number {
  return host.sandbox.calls.count({ service: 'kms', operation: 'Decrypt' });
}
