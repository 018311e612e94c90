// Installs what the other scripts need: the dependencies of the lock file, and the Node that runs us.
// Every npm script starts here, so it has no dependencies, says nothing when all is in place, and is written in the
// syntax of old Nodes: those are to get a sentence, not a SyntaxError.
import childProcess from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import url from 'node:url';

const oldestNode = 20;
const heartbeatMs = 5000;
const unavailable = 69;
const configuration = 78;

const root = path.dirname(path.dirname(url.fileURLToPath(import.meta.url)));
const modules = path.join(root, 'node_modules');
const stamp = path.join(modules, '.gatehouse-setup');
const lockFile = path.join(root, 'package-lock.json');
const nodeLink = path.join(modules, '.bin', 'node');
const nodePackage = 'node-linux-' + process.arch;

main().catch((error) => {
  say('error: the set-up broke: ' + error.stack);
  process.exitCode = 70;
});

async function main() {
  if (Number(process.versions.node.split('.')[0]) < oldestNode) {
    fail(
      'Gatehouse is set up with Node ' +
        oldestNode +
        ' or newer, and this is Node ' +
        process.versions.node +
        '.',
      configuration,
    );
  }
  if (isInPlace()) return;

  const release = await takeTurn();
  if (!isInPlace()) await install();
  release();
}

function isInPlace() {
  return readIfThere(stamp) === wantedStamp() && isLinked();
}

async function install() {
  const lock = JSON.parse(fs.readFileSync(lockFile, 'utf8'));
  const pinned = lock.packages['node_modules/' + nodePackage];
  if (process.platform !== 'linux' || pinned === undefined) {
    fail(
      'Gatehouse runs on Linux on x64 or arm64, and this is ' +
        process.platform +
        ' on ' +
        process.arch +
        '.',
      configuration,
    );
  }
  if (!isInstalled(lock)) await npmCi();
  link();
  assertVersion(pinned.version);
  writeAtomically(stamp, wantedStamp());
}

/** Hash of the lock, and which Node it gave us: a checkout moved to another machine is set up anew. */
function wantedStamp() {
  const hash = crypto.createHash('sha256').update(fs.readFileSync(lockFile)).digest('hex');
  return hash + ' ' + nodePackage + '\n';
}

/** Whether node_modules already holds what the lock says, for instance because someone ran `npm ci` by hand. */
function isInstalled(lock) {
  const hidden = readIfThere(path.join(modules, '.package-lock.json'));
  if (hidden === undefined) return false;
  let installed;
  try {
    installed = JSON.parse(hidden).packages;
  } catch {
    return false;
  }
  const isSame = (name) =>
    installed[name] !== undefined &&
    installed[name].version === lock.packages[name].version &&
    installed[name].integrity === lock.packages[name].integrity &&
    // npm --package-lock-only writes down what it did not install.
    fs.existsSync(path.join(root, name));
  return (
    Object.keys(installed).every((name) => lock.packages[name] !== undefined) &&
    Object.keys(lock.packages).every((name) => name === '' || lock.packages[name].optional || isSame(name)) &&
    isSame('node_modules/' + nodePackage) &&
    fs.existsSync(nodeBinary())
  );
}

async function npmCi() {
  const started = Date.now();
  const seconds = () => Math.round((Date.now() - started) / 1000) + ' s';
  say('Installing what package-lock.json names into node_modules (once, about 500 MB) …');
  const heartbeat = setInterval(() => {
    if (!process.stderr.isTTY) say('  … ' + seconds());
  }, heartbeatMs);
  const status = await npm(['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund']);
  clearInterval(heartbeat);
  if (status !== 0) fail('npm ci failed (see above), so nothing can run yet.', unavailable);
  say('Installed in ' + seconds() + '.');
}

/** Exit status of npm; its output goes to stderr, because stdout may be the data of the program that runs next. */
function npm(args) {
  const cli = process.env.npm_execpath;
  const byPath = cli !== undefined && /\.c?js$/.test(cli);
  // `npm run -s` hands its silence on to every npm below it.
  const env = Object.assign({}, process.env, { npm_config_loglevel: 'notice', npm_config_progress: 'true' });
  const child = childProcess.spawn(byPath ? process.execPath : 'npm', byPath ? [cli].concat(args) : args, {
    cwd: root,
    env,
    stdio: ['ignore', 2, 2],
  });
  // An npm that outlived us would go on changing node_modules while the next set-up does.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', () => fail('npm is not on the PATH; install it beside Node.', configuration));
    child.on('close', resolve);
  });
}

function nodeBinary() {
  return path.join(modules, nodePackage, 'bin', 'node');
}

function isLinked() {
  try {
    return fs.realpathSync(nodeLink) === fs.realpathSync(nodeBinary());
  } catch {
    return false;
  }
}

function link() {
  if (isLinked()) return;
  fs.mkdirSync(path.dirname(nodeLink), { recursive: true });
  const draft = nodeLink + '.' + process.pid;
  fs.symlinkSync(path.join('..', nodePackage, 'bin', 'node'), draft);
  fs.renameSync(draft, nodeLink);
}

function assertVersion(version) {
  const answer = childProcess.spawnSync(nodeLink, ['--version'], { encoding: 'utf8', env: {} });
  if (answer.status === 0 && answer.stdout.trim() === 'v' + version) return;
  // Slim images have no libatomic, which every Node from 25 on is linked with.
  const library = /lib[\w+-]+\.so[.\d]*/.exec(answer.stderr || '');
  if (library !== null) {
    fail(
      'Node ' + version + ' needs ' + library[0] + '; on Debian: apt-get install libatomic1 libstdc++6.',
      unavailable,
    );
  }
  const found = answer.status === 0 ? answer.stdout.trim() : 'a file that does not run';
  fail(
    'node_modules/.bin/node should be Node v' +
      version +
      ' and is ' +
      found +
      '; delete node_modules and try again.',
    configuration,
  );
}

/**
 * Waits until no other set-up works on this folder; resolves with the function that lets the next one in.
 * The lock is the name of an abstract unix socket: the kernel frees it however its owner ends, and `npm ci` cannot
 * delete it as it would a file in node_modules.
 */
async function takeTurn() {
  const name = '\0gatehouse-setup-' + crypto.createHash('sha256').update(root).digest('hex').slice(0, 32);
  let said = false;
  for (;;) {
    const server = await listen(name);
    if (server !== undefined) return () => server.close();
    if (!said) say('Another set-up of this folder is at work; waiting for it …');
    said = true;
    await untilClosed(name);
  }
}

function listen(name) {
  return new Promise((resolve) => {
    // Whoever connects is kept until this process ends: the end of the connection is what they wait for.
    const server = net.createServer((socket) => {
      socket.on('error', () => undefined);
      socket.unref();
    });
    server.on('error', () => resolve(undefined));
    server.listen(name, () => resolve(server));
  });
}

function untilClosed(name) {
  return new Promise((resolve) => {
    const socket = net.connect(name);
    socket.on('error', () => undefined);
    socket.on('close', resolve);
    socket.resume();
  });
}

function writeAtomically(file, text) {
  const draft = file + '.' + process.pid;
  fs.writeFileSync(draft, text);
  fs.renameSync(draft, file);
}

function readIfThere(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function say(text) {
  process.stderr.write(text + '\n');
}

function fail(sentence, code) {
  say('error: ' + sentence);
  process.exit(code);
}
