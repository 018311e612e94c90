import { z } from 'zod';
import { isPlainAbsolutePath } from '../base/path-rules.ts';
import { secretNamePattern } from '../base/secret-name.ts';

const deliveriesMax = 2_000;

const ownerPattern = /^(?:[A-Za-z_][A-Za-z0-9_.@-]{0,63}\$?|\d{1,10})$/u;

const deliveryConfig = z
  .strictObject({
    secret: z
      .string()
      .regex(secretNamePattern, 'expected the name of a secret')
      .meta({
        description: 'Name of the secret, from secrets.',
        applies: 'live',
        examples: ['database-password'],
      }),
    file: z
      .string()
      .max(4095)
      .refine(isPlainAbsolutePath, 'expected the absolute path of a file, without //, . or ..')
      .meta({
        description:
          'The file to write, in a directory that allow.deliverTo of the bootstrap config permits.',
        applies: 'live',
        examples: ['/run/gatehouse/secrets/database-password'],
      }),
    owner: z
      .string()
      .regex(ownerPattern, 'expected a user name or number')
      .optional()
      .meta({
        description: 'User who owns the file, by name or number; the user of the agent where not given.',
        applies: 'live',
        examples: ['app'],
      }),
    group: z
      .string()
      .regex(ownerPattern, 'expected a group name or number')
      .optional()
      .meta({
        description: 'Group of the file, by name or number; the group of the agent where not given.',
        applies: 'live',
        examples: ['app'],
      }),
    mode: z
      .string()
      .regex(/^0?[0-7]{3}$/u, 'expected an octal mode such as "0400"')
      .refine((mode) => (Number.parseInt(mode, 8) & 0o007) === 0, {
        error: 'a secret is never open to all users: the last digit of mode must be 0',
      })
      .refine((mode) => (Number.parseInt(mode, 8) & 0o440) !== 0, {
        error: 'neither owner nor group could read the file',
      })
      .default('0400')
      .meta({ description: 'Octal permission bits of the file.', applies: 'live', examples: ['0400'] }),
    allowDisk: z
      .boolean()
      .default(false)
      .meta({ description: 'Permits a file system that is not in memory.', applies: 'live' }),
  })
  .meta({ description: 'Hands one secret over as a file.', applies: 'live' });

/** The `deliveries` section of the gateway config. */
export const deliveriesConfig = z
  .array(deliveryConfig)
  .max(deliveriesMax)
  .meta({
    description: 'Which secrets are handed to which programs, and how.',
    applies: 'live',
    examples: [
      [
        {
          secret: 'database-password',
          file: '/run/gatehouse/secrets/database-password',
          owner: 'app',
          group: 'app',
          mode: '0400',
        },
      ],
    ],
  });

/**
 * Names by which a loader, a shell, an interpreter or a library would run what a secret says, or what a file that it names
 * says: `credential_process` in an AWS config, a start-up file in a home. No such list is whole.
 */
const loaderVariables = [
  'PATH|IFS|ENV|HOME|ZDOTDIR|SHELL|SHELLOPTS|PS4|PROMPT_COMMAND|BASH_.*|BASHOPTS',
  'LD_.*|GCONV_PATH|GLIBC_TUNABLES|LOCPATH|OPENSSL_.*|SSLKEYLOGFILE',
  'NODE_.*|[Nn][Pp][Mm]_[Cc][Oo][Nn][Ff][Ii][Gg]_.*|PYTHON.*|PERL.*|RUBY.*|GEM_.*|BUNDLE_GEMFILE|GIT_.*',
  'CLASSPATH|JAVA_OPTS|(?:.*_)?JAVA_(?:TOOL_)?OPTIONS',
  'DOTNET_STARTUP_HOOKS|DOTNET_ADDITIONAL_DEPS|CORECLR_.*|COR_.*|PHPRC|PHP_INI_SCAN_DIR|LUA_.*|ERL_.*',
  'AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE',
];
const loaderVariable = new RegExp(`^(?:${loaderVariables.join('|')})$`, 'u');
/** What is the agent's own. */
const ownVariable = /^(?:GATEHOUSE_.*|NOTIFY_SOCKET|WATCHDOG_.*|LISTEN_.*)$/u;

/** The `exec` section of the gateway config. */
export const execConfig = z
  .strictObject({
    environment: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/u, 'expected the name of an environment variable')
          .refine((name) => !loaderVariable.test(name), 'a secret must not say what the command loads')
          .refine((name) => !ownVariable.test(name), 'is for the agent alone'),
        z.string().regex(secretNamePattern, 'expected the name of a secret'),
      )
      .refine((named) => Object.keys(named).length <= deliveriesMax, `at most ${deliveriesMax} variables`)
      .default({})
      .meta({
        description:
          'Environment variables of the command of gatehouse exec, each with the name of the secret whose value it has.',
        applies: 'restart',
        examples: [{ DATABASE_PASSWORD: 'database-password' }],
      }),
  })
  .meta({ description: 'What the command of gatehouse exec is given.', applies: 'restart' });

export type DeliveriesConfig = z.infer<typeof deliveriesConfig>;
export type DeliveryConfig = DeliveriesConfig[number];
