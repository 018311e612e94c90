import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../../../scripts/package/cache.ts';
import { copyTree, debianTree } from './debian-tree.ts';
import { mustRun } from './run-program.ts';

/** An image's file system, mounted where it can be looked at and changed, and how it wants to be run. */
export interface Image {
  readonly root: string;
  readonly config: {
    readonly User?: string;
    readonly Env?: readonly string[];
    readonly Entrypoint?: readonly string[];
    readonly Cmd?: readonly string[];
    readonly Healthcheck?: { readonly Test: readonly string[] };
  };
  close(): Promise<void>;
}

const checkout = fileURLToPath(new URL('../../..', import.meta.url));
const certificates = '/etc/ssl/certs/ca-certificates.crt';

/**
 * Builds the Dockerfile without Docker and without its registry: the base images are Debian's own packages, imported
 * under the names that the Dockerfile uses.
 */
export async function buildImage(): Promise<Image> {
  const folder = mkdtempSync(join(cacheFolder('machines'), 'image-'));
  const storage = [
    '--root',
    join(folder, 'root'),
    '--runroot',
    join(folder, 'run'),
    '--storage-driver',
    'vfs',
  ];
  const buildah = (...args: string[]): Promise<string> => mustRun(['buildah', ...storage, ...args]);
  const close = async (): Promise<void> => {
    await buildah('umount', '--all').catch(() => undefined);
    rmSync(folder, { recursive: true, force: true });
  };
  const baseImage = async (name: string, fill: (root: string) => Promise<void> | void): Promise<void> => {
    const container = (await buildah('from', 'scratch')).trim();
    const root = (await buildah('mount', container)).trim();
    await fill(root);
    await buildah('commit', '--quiet', '--rm', container, name);
  };

  try {
    const minimal = await debianTree();
    await baseImage('docker.io/library/debian:bookworm-slim', (root) => copyTree(minimal, root));
    await baseImage('docker.io/library/node:20-bookworm-slim', async (root) => {
      await copyTree(await debianTree(['libstdc++6', 'ca-certificates']), root);
      await addNode(root);
    });
    const npmCache = (await mustRun(['npm', 'config', 'get', 'cache'], { env: ownPath() })).trim();
    mkdirSync(npmCache, { recursive: true });
    const isolation = ['--isolation', 'chroot', '--format', 'docker', '--pull-never'];
    const tag = 'gatehouse:test';
    await buildah('bud', ...isolation, '--volume', `${npmCache}:/root/.npm`, '--tag', tag, checkout);
    const { Docker } = JSON.parse(await buildah('inspect', '--type', 'image', tag)) as {
      Docker: { config: Image['config'] };
    };
    const container = (await buildah('from', '--pull-never', tag)).trim();
    const root = (await buildah('mount', container)).trim();
    return { root, config: Docker.config, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** This machine's own Node and npm, where the image of that name has them, and whom this machine trusts. */
async function addNode(root: string): Promise<void> {
  const npm = dirname(dirname(await which('npm')));
  cpSync(await which('node'), join(root, 'usr/local/bin/node'));
  cpSync(npm, join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  cpSync(certificates, join(root, 'usr/local/share/machine.crt'), { dereference: true });
  mkdirSync(join(root, 'usr/local/etc'), { recursive: true });
  writeFileSync(join(root, 'usr/local/etc/npmrc'), 'cafile=/usr/local/share/machine.crt\n');
}

async function which(name: string): Promise<string> {
  return realpathSync((await mustRun(['which', name], { env: ownPath() })).trim());
}

/** Without node_modules/.bin, which npm puts in front and where our own Node is. */
function ownPath(): { PATH: string; HOME: string } {
  const { PATH = '/usr/bin:/bin', HOME = '/root' } = process.env;
  const folders = PATH.split(':').filter((folder) => !folder.endsWith('node_modules/.bin'));
  return { PATH: folders.join(':'), HOME };
}
