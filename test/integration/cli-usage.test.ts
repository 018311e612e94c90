import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { gatehouse } from '../support/agent.ts';
import { shell } from '../support/shell.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

describe('a command line that is not one', () => {
  const cases: readonly (readonly [args: string, said: string])[] = [
    ['', 'Name a command.'],
    ['frob', 'Unknown command: frob'],
    ['statu', 'Unknown command: statu; did you mean status?'],
    ['-- run', 'Name a command.'],
    ['--frob run', 'Unknown argument: frob'],
    ['--log-level debug --frob', 'Unknown argument: frob'],
    ['-x', 'Unknown argument: x'],
    ['run --frob', 'Unknown argument: frob'],
    ['status --jsn', 'Unknown argument: jsn; did you mean --json?'],
    ['run --aws-kms-secret_name=a', 'did you mean --aws-kms-secret-name?'],
    ['status --json=yes', '--json takes no value, or true or false, and not "yes"'],
    ['seal --force= --name a', '--force takes no value, or true or false, and not ""'],
    ['run operand', 'Unexpected argument: operand'],
    ['exec operand', 'Give the command behind --: gatehouse exec -- COMMAND ARGS…'],
    ['exec status -- true', 'Give the command behind --: gatehouse exec -- COMMAND ARGS…'],
    ['run --log-level loud', 'Choices: "debug", "info", "warn", "error"'],
    ['--config', 'Not enough arguments following: config'],
    ['config', 'Name what to do: validate, show, schema.'],
    ['config valid', 'Unknown command: valid'],
    ['config schema other', 'Choices: "bootstrap", "gateway"'],
    ['seal', 'seal needs --name, --in and --out, or --manifest'],
    ['seal --name', 'Not enough arguments following: name'],
    ['seal --name a --in b --out c --wrap tin', 'Choices: "master", "kms"'],
    ['seal --name a --in b --out c --wrap', 'Not enough arguments following: wrap'],
    ['seal --name a --in b --out -', '--out takes a file'],
    ['unseal', 'Something is missing: gatehouse unseal <file>'],
    ['unseal a b', 'Unexpected argument: b'],
    ['events dead-letter show', 'Something is missing: gatehouse events dead-letter show <id>'],
    ['credential-process --role-arn r', 'Missing required arguments: certificate, private-key, trust'],
    ['serve --session-duration 900', 'or none of these flags, where the bootstrap config says who to be'],
    ['master-key reencrypt --concurrency abc', '--concurrency must be a whole number from 1 to 64'],
    ['master-key reencrypt --concurrency 0', '--concurrency must be a whole number from 1 to 64'],
    ['master-key reencrypt --concurrency=-3', '--concurrency must be a whole number from 1 to 64'],
    ['master-key reencrypt --concurrency 2.5', '--concurrency must be a whole number from 1 to 64'],
    ['master-key change-password --concurrency 1000', '--concurrency must be a whole number from 1 to 64'],
    ['sandbox --port ninety', '--port takes a number from 0 to 65535'],
    ['sandbox --port 65536', '--port takes a number from 0 to 65535'],
  ];

  test.concurrent.each(cases)('"%s" is a usage error', async (args, said) => {
    const { code, stdout, stderr } = await gatehouse(args.split(' ').filter(Boolean));

    const [error, hint, ...more] = stderr.trimEnd().split('\n');
    expect(error).toMatch(/^error: the command line is not one this program knows: .* \(USAGE\)$/u);
    expect(error).toContain(said);
    expect(hint).toBe('hint: See gatehouse --help, or gatehouse COMMAND --help.');
    expect({ code, stdout, more }).toEqual({ code: 64, stdout: '', more: [] });
  });

  test('with --json it is one object on stderr', async () => {
    const { code, stdout, stderr } = await gatehouse(['--json', 'frob']);

    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'USAGE',
        summary: 'the command line is not one this program knows',
        remedy: 'See gatehouse --help, or gatehouse COMMAND --help.',
        retry: false,
        details: { problem: 'Unknown command: frob' },
        causes: [],
      },
    });
    expect(stderr.trimEnd()).not.toContain('\n');
    expect({ code, stdout }).toEqual({ code: 64, stdout: '' });
  });

  test('says so in English wherever it is', async () => {
    const { stderr } = await gatehouse(['run', '--frob'], { env: { LANG: 'de_DE.UTF-8' } });

    expect(stderr).toContain('Unknown argument: frob');
  });
});

describe('help and version', () => {
  test('--help lists every command on stdout', async () => {
    const { code, stdout, stderr } = await gatehouse(['--help']);

    for (const name of ['run', 'status', 'whoami', 'config', 'seal', 'unseal <file>', 'sandbox', 'demo']) {
      expect(stdout).toContain(`gatehouse ${name} `);
    }
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('the help of run names both spellings of the secret name, and runs nothing', async () => {
    const { code, stdout, stderr } = await gatehouse(['run', '--help']);

    expect(stdout).toContain('--secret-name, --aws-kms-secret-name');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.each([
    ['-h', '--help'],
    ['help', '--help'],
    ['status -h', 'status --help'],
    ['help config', 'config --help'],
    ['config help', 'config --help'],
    ['help master-key create', 'master-key create --help'],
    ['credential-process -h', 'credential-process --help'],
  ])('%s says what %s says', async (args, same) => {
    const { code, stdout, stderr } = await gatehouse(args.split(' '));

    expect(stdout).toBe((await gatehouse(same.split(' '))).stdout);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.each([[['--version']], [['run', '--version']]])('%j prints the version', async (args) => {
    expect(await gatehouse(args)).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.each(['--version', '--help', 'run --help'])('%s loads neither AWS nor zod', async (args) => {
    const hook = `import { registerHooks } from 'node:module';
      registerHooks({ load(url, context, next) {
        const loaded = next(url, context);
        if (url.startsWith('file:')) process.stderr.write(url + '\\n');
        return loaded;
      } });`;
    const script = `"$NODE" --import "data:text/javascript,${encodeURIComponent(hook)}" "$PROGRAM" ${args}`;

    const { code, stderr } = await shell(script);

    const sources = stderr
      .trim()
      .split('\n')
      .map((url) => readFileSync(new URL(url), 'utf8'));
    expect(code).toBe(0);
    expect(sources.length).toBeGreaterThan(1);
    for (const word of ['class KMSClient', 'class STSClient', 'strictObject']) {
      expect(sources.filter((source) => source.includes(word))).toEqual([]);
    }
  });
});

describe('what is read, and what cannot be written', () => {
  test.each(['head -n 1', 'true'])('a reader that leaves early is no error: %s', async (reader) => {
    const { stderr } = await shell(`{ gatehouse config schema gateway; echo "exit $?" >&2; } | ${reader}`);

    expect(stderr).toBe('exit 0\n');
  });

  test('a reader of stderr that has left is no error either', async () => {
    const { stdout } = await shell(
      '{ { gatehouse frob; echo "exit $?" >&3; } 2>&1 >/dev/null | true; } 3>&1',
    );

    expect(stdout).toBe('exit 64\n');
  });

  test('a full disk under stdout is said, and ends with 73', async () => {
    const { code, stderr } = await shell('gatehouse config schema > /dev/full');

    expect(code).toBe(73);
    expect(stderr).toMatch(
      /^error: standard output cannot be written: cause ENOSPC \(OUTPUT_UNWRITABLE\)\nhint: /u,
    );
  });
});

test('a crash says where, never what: the message may hold anything', async () => {
  const crash = `const timer = setInterval(() => {
    if (process.listenerCount('uncaughtException') === 0) return;
    clearInterval(timer);
    throw new RangeError(process.env.CANARY);
  }, 1);`;

  const { code, stdout, stderr } = await shell(
    `"$NODE" --import "data:text/javascript,${encodeURIComponent(crash)}" "$PROGRAM" sandbox`,
    { env: { CANARY: 'hunter2', TMPDIR: temporaryDirectory() } },
  );

  expect(stderr).toMatch(/^error: .*: cause RangeError \(DEFECT\)\n {2}at .*\nhint: /su);
  expect(stdout + stderr).not.toContain('hunter2');
  expect(code).toBe(70);
});

describe('the wrong Node', () => {
  test('gets one sentence and 78', async ({ skip }) => {
    const found = await shell(
      'PATH=$ALL; for node in $(which -a node); do "$node" --version; echo "$node"; done',
      {
        env: { ALL: process.env['PATH'] ?? '' },
        cwd: temporaryDirectory(),
      },
    );
    const pairs = found.stdout.trim().split('\n');
    const old = pairs.findIndex((line) => /^v2[0-5]\./u.test(line));
    skip(old === -1, 'no Node from 20 to 25 is installed beside ours');

    const { code, stdout, stderr } = await shell(`'${pairs[old + 1]}' "$PROGRAM" --version`);

    expect(stderr).toMatch(/^error: Gatehouse needs Node 26 or newer and this is [\d.]+: .*\n$/u);
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
  });
});
