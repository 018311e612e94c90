import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { startSandbox } from '../contract/sandbox-target.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { arePeersMissing, peerProgram } from './support/peer.ts';

const page = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');

/** Sections whose commands are followed elsewhere. */
const elsewhere: Readonly<Record<string, string>> = {
  'Under an RSA key': 'test/integration/master-key-rsa.test.ts',
  'The formats': 'encryption-sdk.test.ts',
  Infrastructure: 'templates.test.ts',
};

/** The commands of each section, in the order of the page. */
const sections = page
  .split(/^## /mu)
  .slice(1)
  .map((text) => ({
    title: text.slice(0, text.indexOf('\n')),
    blocks: [...text.matchAll(/```sh\n([\s\S]*?)```/gu)].map(([, commands = '']) => commands),
  }))
  .filter(({ blocks }) => blocks.length > 0);

it.skipIf(arePeersMissing('aws'))(
  'docs/keys.md is followed as written, from an empty sandbox to a recovered host',
  async () => {
    const target = await startSandbox();
    onTestFinished(() => target.close());
    const { identities } = target.sandbox;
    // As templates/host.yaml and the account have them.
    const [admin, host] = ['KeyAdmin', 'GatehouseHost'].map((role) => {
      identities.createRole(role);
      return identities.issueSession({ role, sessionName: 'page', durationSeconds: 3600 });
    });
    const folder = temporaryDirectory();
    const runtime = temporaryDirectory({ tmpfs: true });
    const state = join(folder, 'state');
    for (const name of ['config', 'key.pem']) writeFileSync(join(folder, name), '', { mode: 0o600 });
    writeFileSync(join(folder, 'key.pem'), 'a private key');
    mkdirSync(state, { mode: 0o700 });
    const [, config = ''] = /^#\s+(\{ "name".*\})$/mu.exec(page) ?? [];
    writeFileSync(join(folder, 'config.json'), config, { mode: 0o600 });
    // What the page takes for given: sudo, which makes one the user of the agent, and a unit.
    const given = `set -e
sudo() {
  if [ "$1" = -u ]; then
    shift 2
    AWS_ACCESS_KEY_ID=$HOST_KEY AWS_SECRET_ACCESS_KEY=$HOST_SECRET AWS_SESSION_TOKEN=$HOST_TOKEN "$@"
  else
    "$@"
  fi
}
systemctl() {
  AWS_ACCESS_KEY_ID=$HOST_KEY AWS_SECRET_ACCESS_KEY=$HOST_SECRET AWS_SESSION_TOKEN=$HOST_TOKEN \
    "$NODE" "$PROGRAM" run > agent.out 2> agent.log &
  echo $! > agent.pid
  until grep -q '"event":"agent.ready"' agent.log; do
    kill -0 "$(cat agent.pid)"
    sleep 0.1
  done
}
stop() { kill "$(cat agent.pid)" && wait "$(cat agent.pid)"; }
`;
    const follow = (commands: string) =>
      shell(given + commands.replaceAll('/var/lib/gatehouse', state).replaceAll('/run/gatehouse', runtime), {
        cwd: folder,
        env: {
          PATH: [dirname(peerProgram('aws')), '/usr/bin', '/bin'].join(delimiter),
          HOME: folder,
          GATEHOUSE_CONFIG: join(folder, 'config.json'),
          GATEHOUSE_STATE_DIRECTORY: state,
          GATEHOUSE_RUNTIME_DIRECTORY: runtime,
          GATEHOUSE_ALLOW_DELIVER_TO: runtime,
          AWS_ENDPOINT_URL: target.endpoint,
          AWS_REGION: target.region,
          AWS_DEFAULT_REGION: target.region,
          AWS_ACCESS_KEY_ID: admin?.accessKeyId ?? '',
          AWS_SECRET_ACCESS_KEY: admin?.secretAccessKey ?? '',
          AWS_SESSION_TOKEN: admin?.sessionToken ?? '',
          HOST_KEY: host?.accessKeyId ?? '',
          HOST_SECRET: host?.secretAccessKey ?? '',
          HOST_TOKEN: host?.sessionToken ?? '',
          AWS_CONFIG_FILE: join(folder, 'config'),
          AWS_PAGER: '',
        },
      });
    const blocks = new Map(sections.map((section) => [section.title, section.blocks]));
    const following = [...blocks.keys()].filter((title) => !Object.hasOwn(elsewhere, title));
    expect(following).toEqual(['From nothing to a sealed file', 'KMS keys', 'The registry']);

    const first = await follow(`${blocks.get(following[0] ?? '')?.join('\n') ?? ''}\nstop`);
    expect({ ...first, stdout: '' }).toMatchObject({ code: 0 });
    expect(first.stdout).toMatch(/^reachable {7}yes$/mu);
    expect(readFileSync(join(runtime, 'secrets/tls-key'), 'utf8')).toBe('a private key');
    expect(existsSync(join(folder, 'key.pem'))).toBe(false);

    const own = await follow(blocks.get('KMS keys')?.join('\n') ?? '');
    expect({ ...own, stdout: '' }).toMatchObject({ code: 0 });
    expect(own.stderr).toContain('alias/own-material stands now for');
    expect(own.stderr.match(/material\.bin holds the material in clear/gu)).toHaveLength(3);

    const [bind = '', recover = ''] = blocks.get('The registry') ?? [];
    const bound = await follow(bind);
    expect({ ...bound, stdout: '' }).toMatchObject({ code: 0 });
    rmSync(join(state, 'master-key'), { recursive: true });
    const recovered = await follow(`${recover}sudo -u gatehouse gatehouse unseal ${state}/tls-key.sealed`);
    expect(recovered).toMatchObject({ code: 0, stdout: 'a private key' });
  },
);
