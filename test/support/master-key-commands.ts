import { join } from 'node:path';
import { expect } from 'vitest';
import type { Host } from './host.ts';

/** Runs a `master-key` command that must do what it is told. */
export async function done(host: Host, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await host.run(['master-key', ...args, '--json']);
  expect({ args, code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The file that `seal` makes of a value. */
export async function sealed(host: Host, name: string, value: string): Promise<string> {
  const file = join(host.disk, `${name}.sealed`);
  const made = await host.run(['seal', '--name', name, '--in', '-', '--out', file], value);
  expect(made).toMatchObject({ code: 0 });
  return file;
}

/** What `unseal` makes of it. */
export async function unsealed(host: Host, file: string): Promise<string> {
  return (await host.run(['unseal', file])).stdout;
}
