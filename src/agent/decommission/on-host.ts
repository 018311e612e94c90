import { lstat, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shellWord } from '../../base/shell-word.ts';
import type { Leftover } from '../../events/spool/leftover.ts';
import { readRegularFile } from '../../system/files.ts';
import type { BootstrapConfig, GatewayConfig } from '../config.ts';
import type { Step } from './step.ts';

export interface HostOnDisk {
  readonly bootstrap: Pick<BootstrapConfig, 'credentials' | 'stateDirectory' | 'runtimeDirectory'>;
  readonly configFile: string | undefined;
  /** Undefined where it could not be read. */
  readonly gateway: GatewayConfig | undefined;
  /** What is not shipped; undefined where that cannot be told. */
  readonly leftover: Leftover | undefined;
  /** Where this system is: `/`, in tests another folder. */
  readonly root: string;
}

/** Where systemd looks for units: an administrator's, then a package's. */
const administratorUnits = '/etc/systemd/system';
const unitFolders = [administratorUnits, '/usr/lib/systemd/system', '/lib/systemd/system'];

const unit = 'gatehouse.service';
const installedPackage = '/var/lib/dpkg/info/gatehouse.list';

/** An AWS config is small. */
const profileFileBytesMax = 1024 * 1024;

/** Of a folder that goes as a whole. */
const namesShown = 20;

/** What is on this host and would stay: what is there alone, in the order in which it goes. */
export async function stepsOnHost(host: HostOnDisk): Promise<readonly Step[]> {
  const { root, bootstrap } = host;
  const isThere = (path: string): Promise<boolean> => exists(join(root, path));
  const steps: Step[] = [];
  const add = (what: string, commands: readonly string[], ...remarks: readonly string[]): void => {
    steps.push({ what, remarks, commands });
  };
  const addFiles = async (what: string, paths: readonly string[], ...remarks: readonly string[]) => {
    const present = await filtered(paths, isThere);
    if (present.length > 0) add(what, [removal(present)], ...remarks);
  };

  if ((await filtered(unitFolders, (folder) => isThere(join(folder, unit)))).length > 0) {
    add('the service', [`systemctl disable --now ${unit}`], 'Stopping sends what can be sent in time.');
  }
  for (const socket of await consumerSockets(root)) {
    const path = join(administratorUnits, socket);
    add(`a socket unit of a consumer`, [`systemctl disable --now ${shellWord(socket)}`, removal([path])]);
  }
  const dropIns = join(administratorUnits, `${unit}.d`);
  if (await isThere(dropIns)) add('what was changed in the unit', [removal([dropIns], true)]);
  await addFiles('secrets and tokens that were delivered', writtenOutside(host));
  if (await isThere(bootstrap.runtimeDirectory)) {
    const { runtimeDirectory } = bootstrap;
    const remark = await contentRemark(join(root, runtimeDirectory));
    add('the runtime directory: delivered secrets, sockets', [removal([runtimeDirectory], true)], remark);
  }
  if (await isThere(bootstrap.stateDirectory)) {
    const { stateDirectory } = bootstrap;
    const keyFiles = await readdir(join(root, stateDirectory, 'master-key')).catch(() => []);
    const hasMasterKey = keyFiles.some((name) => name.endsWith('.wrapped'));
    add(
      'the state directory: host id, spool, dead letter, sealed copy of the gateway config',
      [removal([stateDirectory], true)],
      await contentRemark(join(root, stateDirectory)),
      ...leftoverRemarks(host.leftover),
      ...(hasMasterKey
        ? ['The wrapped master key is in it: without a copy, what is sealed under it stays sealed for ever.']
        : []),
    );
  }
  const sealed = Object.values(host.gateway?.secrets ?? {}).flatMap(({ sealedFile }) => sealedFile ?? []);
  await addFiles('sealed files', sealed, 'Their secrets are nowhere else, unless you keep them elsewhere.');
  await addFiles('the certificate and its private key', certificateFiles(bootstrap));
  const configs = [host.configFile, '/etc/gatehouse/environment'].filter((path) => path !== undefined);
  await addFiles('the bootstrap config and the environment of the service', configs);
  for (const { file, profiles } of await handedOn(root)) {
    add(
      `${file} gets credentials from Gatehouse: [${profiles.join('], [')}]`,
      [`sed -i --follow-symlinks -E ${shellWord(`/${handedOnPattern}/d`)} ${shellWord(file)}`],
      `Copies of it that gatehouse install-profile made are beside it: ${file}.gatehouse-*.`,
    );
  }
  if (await isThere(installedPackage)) {
    add(
      'the package',
      ['apt-get purge gatehouse'],
      'It takes its own service, state, runtime directory and config along, and leaves the user gatehouse.',
    );
  }
  return steps;
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function filtered(
  paths: readonly string[],
  isWanted: (path: string) => Promise<boolean>,
): Promise<readonly string[]> {
  const wanted = await Promise.all(paths.map(isWanted));
  return paths.filter((_path, index) => wanted[index]);
}

function removal(paths: readonly string[], isTree = false): string {
  return ['rm', isTree ? '-r' : '-f', '--', ...paths.map((path) => shellWord(path))].join(' ');
}

/** A folder of the config's may hold what is not ours: whoever removes it is to see that. */
async function contentRemark(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) return 'What it holds cannot be told: ask as root.';
  const more = names.length > namesShown ? `, and ${names.length - namesShown} more` : '';
  return names.length === 0
    ? 'It is empty.'
    : `It holds ${names.toSorted().slice(0, namesShown).join(', ')}${more}.`;
}

function leftoverRemarks(leftover: Leftover | undefined): string[] {
  if (leftover === undefined)
    return ['What of its spool is not sent cannot be told: ask as root, or as its user.'];
  const { batches, events, deadLetters } = leftover;
  return [
    batches === 0
      ? 'All that was spooled is sent; what was not read yet is still in its files.'
      : `NOT SENT YET: ${events} events in ${batches} batches. Start the service and let it send them, or they are lost.`,
    ...(deadLetters === 0
      ? []
      : [`${deadLetters} refused events are in the dead letter (gatehouse events dead-letter list).`]),
  ];
}

async function consumerSockets(root: string): Promise<readonly string[]> {
  const names = await readdir(join(root, administratorUnits)).catch(() => []);
  return names.filter((name) => /^gatehouse-.*\.socket$/u.test(name)).toSorted();
}

/** Files that were written elsewhere than into the runtime directory, which goes as a whole. */
function writtenOutside({ gateway, bootstrap }: HostOnDisk): string[] {
  const tokens = Object.values(gateway?.credentialEndpoints.consumers ?? {}).flatMap(
    ({ tokenFile }) => tokenFile?.path ?? [],
  );
  return [...(gateway?.deliveries ?? []).map(({ file }) => file), ...tokens].filter(
    (path) => !path.startsWith(`${bootstrap.runtimeDirectory}/`),
  );
}

function certificateFiles({ credentials }: HostOnDisk['bootstrap']): string[] {
  const { certificate, privateKey, intermediates, privateKeyPassword } = credentials.rolesAnywhere ?? {};
  return [certificate, privateKey, intermediates, privateKeyPassword].filter((path) => isPath(path));
}

/** The certificate and the key may also be a token's, the password a systemd credential. */
function isPath(value: string | undefined): value is string {
  return value?.startsWith('/') === true;
}

interface HandedOn {
  readonly file: string;
  /** As in their brackets. */
  readonly profiles: readonly string[];
}

/** For `sed` too. */
const handedOnPattern = '^credential_process *=.*(gatehouse|aws_signing_helper)';

/** Profiles of the users of this host whose `credential_process` is this program, or the one whose place it takes. */
async function handedOn(root: string): Promise<readonly HandedOn[]> {
  const passwd = await readFile(join(root, '/etc/passwd'), 'utf8').catch(() => '');
  const homes = new Set(passwd.split('\n').map((line) => line.split(':')[5] ?? ''));
  const found: HandedOn[] = [];
  for (const home of homes) {
    if (!home.startsWith('/')) continue;
    const file = join(home, '.aws', 'config');
    const path = join(root, file);
    // Root asks, and the folder is a user's: what lies there may be a pipe that never ends, or a link to one.
    const content = await readRegularFile(path, { bytesMax: profileFileBytesMax }).catch(() => undefined);
    const profiles = profilesIn(content?.toString() ?? '');
    if (profiles.length > 0) found.push({ file, profiles });
  }
  return found;
}

function profilesIn(text: string): string[] {
  const profiles: string[] = [];
  let profile = '';
  for (const line of text.split('\n')) {
    profile = /^\s*\[([^\]]+)\]/u.exec(line)?.[1]?.trim() ?? profile;
    if (new RegExp(handedOnPattern, 'u').test(line)) profiles.push(profile);
  }
  return profiles;
}
