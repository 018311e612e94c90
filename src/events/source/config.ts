import { z } from 'zod';
import { isLoopbackAddress } from '../../base/local-address.ts';
import { isAbsolutePath, socketPathBytesMax } from '../../base/path-rules.ts';
import { isWholeRole, roleMissing } from '../../base/role-config.ts';
import { senderKeys, sourceNames } from '../destination-config.ts';
import { transformKeys, transformNames } from '../transform/config.ts';
import { parseAddress } from './address.ts';
import { encodings } from './encodings.ts';

const glob = z
  .string()
  .min(1)
  .refine(isAbsolutePath, 'must be an absolute path')
  .refine((path) => !path.split('/').includes('..'), 'must not contain ..');

const embeddedMetrics = z
  .literal(true)
  .optional()
  .meta({
    description:
      'Events may have metrics in them, in the embedded metric format; they are sent with its header',
    applies: 'restart',
    examples: [true],
  });

/** Of the path of a socket; anything else is short. */
const isShort = (path: string): boolean =>
  !isAbsolutePath(path) || Buffer.byteLength(path) <= socketPathBytesMax(path);
const tooLong = 'is too long for a unix socket: 107 bytes at most, and fewer where its name is a short one';

const loopbackOrSocket = z
  .string()
  .refine((text) => {
    const address = parseAddress(text);
    return address?.kind === 'unix' || (address?.kind === 'port' && isLoopbackAddress(address.host));
  }, 'must be a loopback address with a port, as 127.0.0.1:8125 or [::1]:8125, or the absolute path of a unix socket')
  .refine(isShort, tooLong);

const hostAddress = z
  .string()
  .refine(
    (text) => parseAddress(text)?.kind === 'port',
    'must be an address of this host with a port, as 0.0.0.0:514',
  );

const mode = z
  .string()
  .regex(/^0[0-7]{3}$/u, 'must be four octal digits, as 0660')
  .default('0600')
  .meta({ description: 'Mode of the unix socket', applies: 'restart', examples: ['0666'] });

const pemFile = z.string().refine(isAbsolutePath, 'must be an absolute path');

const journald = z
  .strictObject({
    units: z
      .array(z.string().regex(/^[A-Za-z0-9:_.\\@*?-]{1,255}$/u, 'must be the name of a unit'))
      .min(1)
      .optional()
      .meta({ description: 'Only these units', applies: 'restart', examples: [['nginx.service']] }),
    identifiers: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .meta({ description: 'Only these syslog identifiers', applies: 'restart', examples: [['sshd']] }),
    priority: z
      .enum(['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'])
      .optional()
      .meta({ description: 'The least severe that is shipped', applies: 'restart', examples: ['notice'] }),
    directory: z
      .string()
      .refine(isAbsolutePath, 'must be an absolute path')
      .optional()
      .meta({
        description: "A folder of journal files, under allow.readFrom, instead of this host's journal",
        applies: 'restart',
        examples: ['/var/log/journal/remote'],
      }),
    since: z
      .enum(['now', 'boot', 'oldest'])
      .default('boot')
      .meta({
        description: 'Where reading starts the first time: now, with this boot, or with the oldest entry',
        applies: 'restart',
        examples: ['oldest'],
      }),
    fields: z
      .array(z.string().regex(/^_{0,2}[A-Z0-9][A-Z0-9_]{0,63}$/u, 'must be the name of a journal field'))
      .min(1)
      .default(['MESSAGE', 'PRIORITY', 'SYSLOG_IDENTIFIER', '_SYSTEMD_UNIT', '_PID'])
      .meta({
        description: 'Fields of an event: several are JSON, one alone is the text of the event',
        applies: 'restart',
        examples: [['MESSAGE']],
      }),
  })
  .meta({
    description: 'Ship the systemd journal',
    applies: 'restart',
    examples: [{ units: ['nginx.service'] }],
  });

const syslog = z
  .strictObject({
    udp: hostAddress
      .optional()
      .meta({ description: 'Address for syslog by UDP', applies: 'restart', examples: ['127.0.0.1:514'] }),
    tcp: hostAddress
      .optional()
      .meta({ description: 'Address for syslog by TCP', applies: 'restart', examples: ['127.0.0.1:601'] }),
    tls: z
      .strictObject({
        address: hostAddress.meta({ description: 'Address', applies: 'restart', examples: ['0.0.0.0:6514'] }),
        certificate: pemFile.meta({
          description: 'PEM file with the certificate and its chain',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/certificate.pem'],
        }),
        privateKey: pemFile.meta({
          description: 'PEM file with its key',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/private-key.pem'],
        }),
        clientAuthorities: pemFile.optional().meta({
          description: 'PEM file of authorities: clients then need a certificate of one of them',
          applies: 'restart',
          examples: ['/etc/gatehouse/syslog/clients.pem'],
        }),
      })
      .optional()
      .meta({ description: 'Syslog by TLS', applies: 'restart' }),
    socket: z
      .string()
      .refine(isAbsolutePath, 'must be an absolute path')
      .refine(isShort, tooLong)
      .optional()
      .meta({
        description: 'Path of a unix stream socket, below allow.deliverTo',
        applies: 'restart',
        examples: ['/run/gatehouse/syslog.sock'],
      }),
    mode,
    format: z
      .enum(['json', 'raw'])
      .default('json')
      .meta({
        description: 'The parts of a message as JSON, or the message as it came',
        applies: 'restart',
        examples: ['raw'],
      }),
  })
  .refine(
    ({ udp, tcp, tls, socket }) => [udp, tcp, tls, socket].some((each) => each !== undefined),
    'must have at least one of udp, tcp, tls and socket',
  )
  .meta({
    description: 'Receive syslog, RFC 5424 and 3164',
    applies: 'restart',
    examples: [{ udp: '127.0.0.1:514', tcp: '127.0.0.1:601' }],
  });

const http = z
  .strictObject({
    listen: loopbackOrSocket.meta({
      description: 'A loopback address with a port, or the path of a unix socket below allow.deliverTo',
      applies: 'restart',
      examples: ['/run/gatehouse/events.sock'],
    }),
    mode,
  })
  .meta({
    description: 'Receive lines and JSON by HTTP; a request is answered when its events are durable',
    applies: 'restart',
    examples: [{ listen: '127.0.0.1:8125' }],
  });

/** A source says what it is by one of these keys. */
export const sourceKinds = ['files', 'journald', 'syslog', 'stdin', 'http', 'exec', 'audit'] as const;

export const sourceConfig = z
  .strictObject({
    files: z
      .array(glob)
      .min(1)
      .optional()
      .meta({
        description: 'Absolute paths or globs of the files to ship; they must lie under allow.readFrom',
        applies: 'restart',
        examples: [['/var/log/app/*.log']],
      }),
    exclude: z
      .array(glob)
      .optional()
      .meta({
        description: 'With files: globs of files to leave out',
        applies: 'restart',
        examples: [['/var/log/app/*.gz']],
      }),
    encoding: z
      .enum(encodings)
      .optional()
      .meta({
        description:
          'With files: how their bytes are text. auto (when absent): UTF-16 where the byte order mark says so, else UTF-8',
        applies: 'restart',
        examples: ['latin1'],
      }),
    journald: journald.optional(),
    syslog: syslog.optional(),
    stdin: z
      .literal(true)
      .optional()
      .meta({
        description: 'Ship the lines of standard input; one source can',
        applies: 'restart',
        examples: [true],
      }),
    http: http.optional(),
    exec: z
      .literal(true)
      .optional()
      .meta({
        description:
          'Ship what the command of gatehouse exec writes to stdout and stderr, {file} in a name; one source can. Without that command it has nothing to ship',
        applies: 'restart',
        examples: [true],
      }),
    audit: z
      .literal(true)
      .optional()
      .meta({ description: "Ship the agent's own audit records", applies: 'restart', examples: [true] }),
    ...transformKeys,
    embeddedMetrics,
    ...sourceNames,
    ...senderKeys('this source, instead of that of events'),
  })
  .refine(isWholeRole, roleMissing)
  .superRefine((source, context) => {
    if (sourceKinds.filter((kind) => source[kind] !== undefined).length !== 1) {
      context.addIssue({ code: 'custom', message: `must have exactly one of ${sourceKinds.join(', ')}` });
    }
    for (const key of transformNames) {
      if (source.audit !== undefined && source[key] !== undefined) {
        context.addIssue({
          code: 'custom',
          path: [key],
          message: 'does not go with audit: its records stay as they are',
        });
      }
    }
    for (const key of ['exclude', 'encoding', 'coordinates'] as const) {
      if (source.files === undefined && source[key] !== undefined) {
        context.addIssue({ code: 'custom', path: [key], message: 'goes with files only' });
      }
    }
  });
