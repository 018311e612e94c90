import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSandbox } from '../../sandbox/sandbox.ts';
import { gatehouse } from '../support/agent.ts';
import type { KeyKind } from '../support/certificates.ts';
import { rolesAnywhereHost } from '../support/roles-anywhere.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const run = promisify(execFile);
const module = '/usr/lib/softhsm/libsofthsm2.so';
const pin = '123456';

/** Both are optional: SoftHSM is Debian's softhsm2, and pkcs11js has compiled code. @throws under CI */
function isMissing(): boolean {
  const missing = [
    ...(existsSync(module) ? [] : [`no ${module}: apt-get install softhsm2`]),
    ...(isInstalled('pkcs11js')
      ? []
      : ['no pkcs11js that is compiled: npm run test:peers does that where there is g++ and make']),
  ];
  if (missing.length === 0) return false;
  const { CI = '' } = process.env;
  if (!['', 'false', '0'].includes(CI)) throw new Error(missing.join(', '));
  process.stderr.write(`skipped, ${missing.join(', ')}\n`);
  return true;
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url)(name);
    return true;
  } catch {
    return false;
  }
}

/** A token with the key of a certificate that the sandbox trusts; nobody has it in a file any more. */
async function setup(key: KeyKind) {
  const sandbox = createSandbox();
  const listener = await sandbox.listen();
  onTestFinished(() => listener.close());
  const folder = temporaryDirectory();
  const { identity, file, leaf, root } = await rolesAnywhereHost(sandbox, folder, { certificate: { key } });
  const tokens = join(folder, 'tokens');
  mkdirSync(tokens);
  const conf = file('softhsm2.conf', `directories.tokendir = ${tokens}\nlog.level = ERROR\n`);
  const env = { ...process.env, SOFTHSM2_CONF: conf };
  const util = (...args: string[]) => run('softhsm2-util', args, { env });
  await util('--init-token', '--free', '--label', 'My token', '--so-pin', '87654321', '--pin', pin);
  const imported = [
    '--import',
    identity.privateKey,
    '--token',
    'My token',
    '--label',
    'web-1',
    '--id',
    'A1B2',
  ];
  await util(...imported, '--pin', pin);
  putCertificate(leaf.der, env);
  writeFileSync(identity.privateKey, 'gone');
  const pinFile = file('pin', `${pin}\n`);
  const flags = {
    '--certificate': identity.certificate,
    '--private-key': 'pkcs11:token=My%20token;object=web-1;id=%A1%B2',
    '--pkcs11-lib': module,
    '--private-key-password-file': pinFile,
    '--trust-anchor-arn': identity.trustAnchorArn,
    '--profile-arn': identity.profileArn,
    '--role-arn': identity.roleArn,
    '--endpoint': listener.url,
  };
  const credentials = (changes: Partial<typeof flags> = {}) =>
    gatehouse(['credential-process', '--json', ...Object.entries({ ...flags, ...changes }).flat()], {
      env: { SOFTHSM2_CONF: conf },
    });
  const certificateData = () =>
    gatehouse(['read-certificate-data', '--certificate', tokenCertificate, '--pkcs11-lib', module], {
      env: { SOFTHSM2_CONF: conf },
    });
  const logins = async (script: string) => {
    const files = {
      certificate: identity.certificate,
      privateKey: flags['--private-key'],
      privateKeyPassword: pinFile,
      pkcs11Module: module,
    };
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module', '-e', `${loginsScript}${script}`, JSON.stringify(files)],
      { env, cwd: import.meta.dirname },
    );
    return JSON.parse(stdout) as unknown;
  };
  /** The certificate in the token, as the agent's watch sees it before and after another one is put there. */
  const watched = async (next: Buffer) => {
    const files = { certificate: tokenCertificate, privateKey: flags['--private-key'], pkcs11Module: module };
    const put = [putScript, module, pin, next.toString('base64')];
    const { stdout } = await run(
      process.execPath,
      ['--input-type=module', '-e', watchScript, JSON.stringify({ files, put })],
      { env, cwd: import.meta.dirname },
    );
    return JSON.parse(stdout) as unknown;
  };
  return { sandbox, credentials, certificateData, file, logins, watched, leaf, root };
}

const tokenCertificate = 'pkcs11:token=My%20token;object=web-1';

/** Lets a watch look, puts another certificate into the token, and lets it look again. */
const watchScript = `
  import { execFileSync } from 'node:child_process';
  const { certificateWatch } = await import('../../src/identity/certificate-watch.ts');
  const { files, put } = JSON.parse(process.argv[1]);
  const said = [];
  const stop = new AbortController();
  let looks = 0;
  const clock = {
    now: () => new Date(),
    async sleep() {
      looks += 1;
      said.push(watch.state()?.serialNumber);
      if (looks === 1) execFileSync(process.execPath, ['-e', ...put]);
      else stop.abort();
    },
  };
  const log = ({ name }) => said.push(name);
  const run = () => Promise.reject(new Error('not to be run'));
  const watch = certificateWatch(files, { env: {}, clock, log, run });
  await watch.run(stop.signal).catch(() => undefined);
  process.stdout.write(JSON.stringify(said));
`;

/** Counts logins to the token; what follows it uses `files`, `keys`, `pinIs` and `codeOf`, and prints `said`. */
const loginsScript = `
  import { writeFileSync } from 'node:fs';
  import { createRequire } from 'node:module';
  const { PKCS11 } = createRequire(process.cwd() + '/')('pkcs11js');
  const { certifiedKeys } = await import('../../src/identity/roles-anywhere/certified-keys.ts');
  const { readPrivateKey } = await import('../../src/identity/roles-anywhere/certified-key.ts');
  const files = JSON.parse(process.argv[1]);
  const logIn = PKCS11.prototype.C_Login;
  let logins = 0;
  PKCS11.prototype.C_Login = function (...given) {
    logins += 1;
    return logIn.apply(this, given);
  };
  const keys = certifiedKeys(files, { env: {} });
  const current = () => keys.current(new Date());
  const pinIs = (pin) => writeFileSync(files.privateKeyPassword, pin);
  const codeOf = (work) => work.then(() => 'done', ({ code }) => code);
  const said = [];
  const say = async (work) => {
    logins = 0;
    said.push([await codeOf(work()), logins]);
  };
  process.on('exit', () => process.stdout.write(JSON.stringify(said)));
`;

/** Puts a certificate in the place of the one that is in the token. SoftHSM reads its configuration once for a process. */
const putScript = `
    const p = require('pkcs11js');
    const native = new p.PKCS11();
    native.load(process.argv[1]);
    native.C_Initialize();
    const slot = native.C_GetSlotList(true).find((each) => native.C_GetTokenInfo(each).label.trim() === 'My token');
    const session = native.C_OpenSession(slot, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION);
    native.C_Login(session, p.CKU_USER, process.argv[2]);
    native.C_FindObjectsInit(session, [{ type: p.CKA_CLASS, value: p.CKO_CERTIFICATE }]);
    const before = native.C_FindObjects(session, 10);
    native.C_FindObjectsFinal(session);
    for (const each of before) native.C_DestroyObject(session, each);
    native.C_CreateObject(session, [
      { type: p.CKA_CLASS, value: p.CKO_CERTIFICATE },
      { type: p.CKA_CERTIFICATE_TYPE, value: p.CKC_X_509 },
      { type: p.CKA_TOKEN, value: true },
      { type: p.CKA_PRIVATE, value: false },
      { type: p.CKA_LABEL, value: 'web-1' },
      { type: p.CKA_SUBJECT, value: Buffer.from('3000', 'hex') },
      { type: p.CKA_VALUE, value: Buffer.from(process.argv[3], 'base64') },
    ]);
    native.C_Finalize();`;

function putCertificate(der: Buffer, env: NodeJS.ProcessEnv): void {
  execFileSync(process.execPath, ['-e', putScript, module, pin, der.toString('base64')], {
    env,
    cwd: import.meta.dirname,
  });
}

describe.skipIf(isMissing())('a key in SoftHSM', () => {
  it.each(['rsa-2048', 'ec-p256', 'ec-p384', 'ec-p521'] as const)('%s gets a session', async (key) => {
    const { credentials, sandbox } = await setup(key);

    const { code, stdout, stderr } = await credentials();
    const inToken = await credentials({ '--certificate': tokenCertificate });

    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(inToken).toMatchObject({ code: 0, stderr: '' });
    const { AccessKeyId: id } = JSON.parse(stdout) as { AccessKeyId: string };
    expect(sandbox.identities.find(id)?.roleArn).toMatch(/GatehouseHost$/u);
  });

  it('is never asked twice with a PIN that it refused', async () => {
    const { logins } = await setup('ec-p256');

    const said = await logins(`
      const { key } = await current();
      const signed = () => key.sign(Buffer.from('a'));
      pinIs('000000');
      for (let tries = 0; tries < 3; tries += 1) await say(current);
      await say(signed);
      await say(() => readPrivateKey(files, {}));
      pinIs('111111');
      await say(signed);
      await say(current);
      pinIs('${pin}');
      await say(current);
      await say(signed);
    `);

    expect(said).toEqual([
      ['PKCS11_PIN_REFUSED', 1],
      ['PKCS11_PIN_REFUSED', 0],
      ['PKCS11_PIN_REFUSED', 0],
      ['PKCS11_PIN_REFUSED', 0],
      ['PKCS11_PIN_REFUSED', 0],
      ['PKCS11_PIN_REFUSED', 1],
      ['PKCS11_PIN_REFUSED', 0],
      ['done', 1],
      ['done', 1],
    ]);
  });

  it('and its certificate is watched in the token: another one there is seen', async () => {
    const { watched, leaf, root } = await setup('ec-p256');
    const next = await root.issue({ keys: leaf.keys });

    const said = await watched(next.der);

    const serials = [leaf, next].map(({ der }) => BigInt(`0x${new X509Certificate(der).serialNumber}`));
    expect(said).toEqual([String(serials[0]), 'certificate.replaced', String(serials[1])]);
  });

  it('and its certificate is told of by read-certificate-data', async () => {
    const { certificateData, leaf } = await setup('ec-p256');

    const { code, stdout } = await certificateData();

    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ keyType: 'EC', certificateData: leaf.der.toString('base64') });
  });

  it('is named without the PIN that somebody wrote into the URI', async () => {
    const { credentials } = await setup('ec-p256');

    const { stderr } = await credentials({ '--private-key': `pkcs11:token=My%20token?pin-value=${pin}` });

    expect(stderr).toContain('pkcs11:token=My%20token?pin-value=[secret]');
    expect(stderr).not.toContain(pin);
  });

  it('that cannot be used says why', async () => {
    const { credentials, file } = await setup('ec-p256');
    const codeOf = async (changes: Parameters<typeof credentials>[0]) => {
      const { code, stderr } = await credentials(changes);
      return [(JSON.parse(stderr) as { error: { code: string } }).error.code, code];
    };

    expect(await codeOf({ '--private-key': 'pkcs11:token=Other;object=web-1' })).toEqual([
      'PKCS11_NOT_FOUND',
      66,
    ]);
    expect(await codeOf({ '--private-key': 'pkcs11:token=My%20token;object=web-2' })).toEqual([
      'PKCS11_NOT_FOUND',
      66,
    ]);
    expect(await codeOf({ '--private-key': 'pkcs11:token=My%20token?pin-value=1' })).toEqual([
      'PKCS11_URI_INVALID',
      78,
    ]);
    expect(await codeOf({ '--pkcs11-lib': '/nonexistent.so' })).toEqual(['PKCS11_UNAVAILABLE', 78]);
    expect(await codeOf({ '--private-key-password-file': file('wrong', '000000') })).toEqual([
      'PKCS11_PIN_REFUSED',
      77,
    ]);
  });
});
