// Makes .peers/venv, the Python environment with the peers of test/peers/environment/requirements.txt, unless it is
// there. Without Python or a package index the peers are left out with a sentence, which is an error under CI only.
// Compiles pkcs11js too, through which SoftHSM is asked: npm runs no scripts of packages here (.npmrc) but for this one.
// Like setup.mjs it has no dependencies and runs on old Nodes.
import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import url from 'node:url';

const heartbeatMs = 5000;
const unavailable = 69;

const root = path.dirname(path.dirname(url.fileURLToPath(import.meta.url)));
const requirements = path.join(root, 'test', 'peers', 'environment', 'requirements.txt');
const venv = path.join(root, '.peers', 'venv');
const python = path.join(venv, 'bin', 'python');
const stamp = path.join(venv, '.gatehouse-requirements');

await compileBinding();
await main();

async function main() {
  if (isInPlace()) return;
  const version = versionOf('python3');
  if (version === undefined) return leaveOut('python3 is not on the PATH');

  const started = Date.now();
  say(
    'Installing the peers (moto, boto3, AWS CLI, …) into .peers/venv for ' +
      version +
      ' (once, about 350 MB) …',
  );
  const heartbeat = setInterval(() => say('  … ' + seconds(started)), heartbeatMs);
  const failure = await install();
  clearInterval(heartbeat);
  if (failure !== undefined) return leaveOut(failure);

  fs.writeFileSync(stamp, wantedStamp());
  say('Installed the peers in ' + seconds(started) + '.');
}

/** What could not be compiled is told by the test that needs it, which is an error under CI. */
async function compileBinding() {
  const folder = path.join(root, 'node_modules', 'pkcs11js');
  if (!fs.existsSync(folder) || fs.existsSync(path.join(folder, 'build', 'Release', 'pkcs11.node'))) return;
  say('Compiling pkcs11js (once) …');
  const npm = process.env.npm_execpath;
  const rebuild = ['rebuild', 'pkcs11js', '--ignore-scripts=false'];
  await (npm === undefined ? run('npm', rebuild) : run(process.execPath, [npm].concat(rebuild)));
}

function isInPlace() {
  return (
    fs.existsSync(stamp) &&
    fs.readFileSync(stamp, 'utf8') === wantedStamp() &&
    versionOf(python) !== undefined
  );
}

/** Hash of the requirements, and the place: the programs of an environment name its absolute path. */
function wantedStamp() {
  const hash = crypto.createHash('sha256').update(fs.readFileSync(requirements)).digest('hex');
  return hash + ' ' + venv + '\n';
}

/** What went wrong, if anything did. */
async function install() {
  if ((await run('python3', ['-m', 'venv', '--clear', venv])) !== 0) {
    return 'python3 cannot make a virtual environment (on Debian: apt-get install python3-venv)';
  }
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--progress-bar', 'off'];
  if ((await run(python, pip.concat('-r', requirements))) !== 0) return 'pip install failed (see above)';
  return undefined;
}

/** Exit status; all output goes to stderr. */
function run(command, args) {
  const child = childProcess.spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  return new Promise((resolve) => {
    child.on('error', () => resolve(127));
    child.on('close', resolve);
  });
}

function versionOf(command) {
  const { status, stdout } = childProcess.spawnSync(command, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}

function leaveOut(reason) {
  const isCi = ![undefined, '', 'false', '0'].includes(process.env.CI);
  say((isCi ? 'error: no peers: ' : 'Leaving out the peers: ') + reason + '.');
  if (isCi) process.exitCode = unavailable;
}

function seconds(started) {
  return Math.round((Date.now() - started) / 1000) + ' s';
}

function say(line) {
  process.stderr.write(line + '\n');
}
