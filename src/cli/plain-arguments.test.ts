import { array, assert, asyncProperty, constantFrom, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import yargs from 'yargs';
import { commands } from './cli.ts';
import { command, globalOptions } from './command.ts';
import { plainArguments } from './plain-arguments.ts';
import { runCommand } from './run.ts';

/** What yargs makes of the same command line; undefined when it complains. */
async function byYargs(argv: readonly string[]): Promise<Record<string, unknown> | undefined> {
  let args: Record<string, unknown> | undefined;
  const { usage, options } = runCommand;
  try {
    await yargs([...argv])
      .options(globalOptions)
      .strict()
      .parserConfiguration({ 'duplicate-arguments-array': false })
      .exitProcess(false)
      .help(false)
      .version(false)
      .fail((message, error) => {
        throw error ?? new Error(message);
      })
      .command(
        [usage, 'start'],
        '',
        (inner) => inner.options({ ...options }),
        (parsed) => {
          args = parsed;
        },
      )
      .parseAsync();
  } catch {
    return undefined;
  }
  const names = Object.keys({ ...globalOptions, ...options });
  return args && Object.fromEntries(names.map((name) => [name, args?.[name]]));
}

const tokens =
  `--config --config=/a /b debug --log-level --log-level=info --log-level=x --json --json=true --no-json
  true --secret-name --aws-kms-secret-name=1 7 -- -c --config= --configuration --logLevel "q" --config.a=1`
    .split(/\s+/u)
    .concat('', '--config= ');

describe('a plain command line', () => {
  test('is what a unit file holds', () => {
    const argv = ['run', '--config', '/etc/gatehouse/config.json', '--log-level=debug', '--json'];

    expect(plainArguments(argv, commands)).toEqual({
      command: runCommand,
      args: {
        config: '/etc/gatehouse/config.json',
        'log-level': 'debug',
        json: true,
        'secret-name': undefined,
      },
    });
  });

  test('may use the aliases of a command and of its flags', () => {
    const found = plainArguments(['start', '--aws-kms-secret-name', 'prod/web'], commands);

    expect(found?.command).toBe(runCommand);
    expect(found?.args['secret-name']).toBe('prod/web');
  });

  test.each([
    ['none', []],
    ['help', ['run', '--help']],
    ['a version', ['--version']],
    ['an unknown command', ['rnu']],
    ['an unknown flag', ['run', '--nonsense']],
    ['an operand', ['run', 'now']],
    ['a command with operands', ['unseal', '/etc/x.sealed']],
    ['a command with subcommands', ['config', 'show']],
    ['a flag twice', ['run', '--config', '/a', '--config', '/b']],
    ['a flag without its value', ['run', '--config']],
    ['a flag as the value of another', ['run', '--config', '--json']],
    ['a value that is none of the choices', ['run', '--log-level', 'loud']],
    ['a quoted value', ['run', '--config="/a"']],
    ['a number where one is wanted', ['sandbox', '--port', '4566']],
  ])('is not: %s', (_what, argv) => {
    expect(plainArguments(argv, commands)).toBeUndefined();
  });

  test('is not: a flag that must be there and is not', () => {
    const options = { name: { type: 'string', demandOption: true } } as const;
    const demanding = command({ usage: 'demand', summary: '', options, run: () => Promise.resolve(0) });

    expect(plainArguments(['demand', '--name', 'x'], [demanding])).toBeDefined();
    expect(plainArguments(['demand'], [demanding])).toBeUndefined();
  });

  test('means the same to yargs', async () => {
    const token = constantFrom(...tokens);
    const line = tuple(constantFrom('run', 'start'), array(token, { maxLength: 5 }));
    let plain = 0;

    await assert(
      asyncProperty(line, async ([word, rest]) => {
        const found = plainArguments([word, ...rest], [runCommand]);
        if (found === undefined) return;
        plain += 1;
        expect(await byYargs([word, ...rest])).toEqual(found.args);
      }),
      { numRuns: 500 },
    );

    expect(plain).toBeGreaterThan(20);
  });
});
