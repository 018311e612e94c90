import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('the runtime directory is made before any socket just as the unit wants it, so that the unit changes no owner', () => {
  const unit = read('systemd/gatehouse.service');
  const [user, group, name, mode] = ['User', 'Group', 'RuntimeDirectory', 'RuntimeDirectoryMode'].map(
    (key) => new RegExp(`^${key}=(.+)$`, 'mu').exec(unit)?.[1],
  );
  const made = read('systemd/gatehouse.tmpfiles.conf')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

  expect(made).toEqual([
    `d /run/${name} ${mode} ${user} ${group}`,
    `d /run/${name}/consumers ${mode} ${user} ${group}`,
  ]);
  const documented = /^ListenStream=(.*)\/[^/]+$/mu.exec(read('docs/credentials.md'))?.[1];
  expect(documented).toBe(`/run/${name}/consumers`);
});
