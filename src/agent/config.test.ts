import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { GatehouseError } from '../base/errors.ts';
import { loadBootstrap } from '../config/bootstrap.ts';
import { difference } from '../config/difference.ts';
import { decodeGateway, validateGateway } from '../config/gateway.ts';
import { jsonSchemaOf } from '../config/schema.ts';
import { bareSchema, metadataOf } from '../config/schema-tree.ts';
import { bootstrapSchema, exampleBootstrap, gatewayRules, gatewaySchema } from './config.ts';

const directories = { runtimeDirectory: '/run/gatehouse', stateDirectory: '/srv/tmpfs/state' };
const allow = {
  deliverTo: ['/run/gatehouse', '/srv/tmpfs'],
  readFrom: ['/var/log', '/srv/app/log'],
  consumerRoles: [],
  consumerHostRole: false,
  listenPorts: [],
  assumeRoles: [],
};

/** The gateway config of ../shared/design/interfaces.md, without what this version leaves out. */
const whole = {
  version: 1,
  keys: { bindingKey: 'alias/gatehouse-binding' },
  secrets: {
    'database-password': { secretsManager: { secretId: 'prod/database', jsonField: 'password' } },
    'tls-key': { sealedFile: '/etc/gatehouse/sealed/tls-key.sealed' },
  },
  deliveries: [
    {
      secret: 'database-password',
      file: '/run/gatehouse/secrets/database-password',
      owner: 'app',
      group: 'app',
      mode: '0400',
    },
  ],
  events: {
    logGroup: '/gatehouse/{name}',
    logStream: '{source}',
    createLogGroup: true,
    retentionDays: 30,
    spool: { bytesMax: 1073741824, whenFull: 'pause' },
    sources: { app: { files: ['/var/log/app/*.log'] }, agent: { audit: true } },
  },
};

function validate(document: unknown) {
  return validateGateway(gatewaySchema, gatewayRules({ allow, ...directories }), document);
}

/** The problems of a gateway config; none when it is valid. */
function problems(document: unknown): unknown {
  try {
    validate(document);
    return [];
  } catch (error) {
    if (error instanceof GatehouseError) return error.details['problems'];
    throw error;
  }
}

const reading = (glob: string) => ({
  ...whole,
  events: { ...whole.events, sources: { app: { files: ['/var/log/syslog', glob] } } },
});

/** All that the error says which `work` ends in; empty when it succeeds. */
function said(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    if (error instanceof GatehouseError) return JSON.stringify([error.message, error.details]);
    throw error;
  }
}

const source = (config: object) => ({ events: { ...whole.events, sources: { app: config } } });

function problemsWith(sources: object): unknown {
  return problems({ ...whole, audit: {}, events: { ...whole.events, sources } });
}

describe('the gateway config', () => {
  it('of the interfaces is valid', () => {
    expect(validate(whole)).toMatchObject(whole);
  });

  it('lets a full audit deny access only where there is an audit', () => {
    const sources = { app: whole.events.sources.app };

    expect(problems({ ...whole, audit: { whenFull: 'deny' } })).toEqual([]);
    expect(problems({ ...whole, audit: { whenFull: 'deny' }, events: { ...whole.events, sources } })).toEqual(
      [{ path: 'audit.whenFull', message: 'deny needs a source of events with audit: true' }],
    );
    expect(problems({ ...whole, audit: {}, events: { ...whole.events, sources } })).toEqual([]);
  });

  it('gives an audit source a log stream of its own', () => {
    const { app, agent } = whole.events.sources;
    const withSources = (sources: object) => problems({ ...whole, events: { ...whole.events, sources } });
    const problem = {
      path: 'events.sources.agent',
      message: 'audit needs a log stream of its own, and app has the same',
    };

    expect(withSources({ app: { ...app, logStream: 'all' }, agent: { ...agent, logStream: 'all' } })).toEqual(
      [problem],
    );
    expect(withSources({ app: { ...app, logStream: 'agent' }, agent })).toEqual([problem]);
    expect(
      withSources({ app: { ...app, logStream: 'all' }, second: { ...app, logStream: 'all' }, agent }),
    ).toEqual([]);
  });

  it('needs its version only', () => {
    expect(validate({ version: 1 })).toMatchObject({
      secrets: {},
      deliveries: [],
      keys: { trustedKeys: [] },
      schedules: { refreshSecretsCron: '*/5 * * * *' },
    });
    expect(validate({ version: 1 }).events).toBeUndefined();
  });

  const delivery = { secret: 'tls-key', file: '/run/gatehouse/tls-key' };

  it('delivers no secret that it does not have', () => {
    const deliveries = [
      delivery,
      { secret: 'databse-password', file: '/run/gatehouse/d' },
      { secret: 'canary', file: '/run/gatehouse/e' },
    ];

    expect(problems({ ...whole, deliveries })).toEqual([
      {
        path: 'deliveries[1].secret',
        message: 'secrets has no such name; did you mean "database-password"?',
      },
      { path: 'deliveries[2].secret', message: 'secrets has no such name' },
    ]);
  });

  it.each([
    '/etc/cron.d/canary',
    '/run/gatehouse',
    '/run/gatehouse/../../etc/passwd',
    '/run/gatehouse-other/x',
    '/run//gatehouse/x',
    '/run/gatehouse/x/',
    'run/gatehouse/x',
  ])('does not deliver to %s', (file) => {
    const found = problems({ ...whole, deliveries: [{ ...delivery, file }] });

    expect(found).toEqual([expect.objectContaining({ path: 'deliveries[0].file' })]);
  });

  it.each(['\n', '\r', '\t', '\0', '\u001b', '\u007f', '\u0085'])(
    'has no path with a control character, which could hide what is behind it: %j',
    (character) => {
      const file = `/run/gatehouse/a${character}/../control.sock`;
      const inside = `/run/gatehouse/a${character}b`;
      const app = { roleArn: 'arn:aws:iam::123456789012:role/app' };
      const consumers = (path: string) => ({
        credentialEndpoints: { containerPort: 1, consumers: { app: { ...app, tokenFile: { path } } } },
      });
      const certificate = '/etc/gatehouse/c.pem';
      const tls = (pem: object) =>
        source({ syslog: { tls: { address: '127.0.0.1:1', certificate, privateKey: certificate, ...pem } } });
      const log = file.replace('/run/gatehouse', '/var/log');

      for (const [changed, path] of [
        [{ deliveries: [{ ...delivery, file }] }, 'deliveries[0].file'],
        [{ deliveries: [{ ...delivery, file: inside }] }, 'deliveries[0].file'],
        [consumers(file), 'credentialEndpoints.consumers.app.tokenFile.path'],
        [consumers(inside), 'credentialEndpoints.consumers.app.tokenFile.path'],
        [{ secrets: { ...whole.secrets, 'tls-key': { sealedFile: file } } }, 'secrets.tls-key.sealedFile'],
        [source({ files: [log] }), 'events.sources.app.files[0]'],
        [
          source({ files: ['/var/log/*'], exclude: [`/var/log/a${character}b`] }),
          'events.sources.app.exclude[0]',
        ],
        [source({ files: [`/var/log/a${character}b`] }), 'events.sources.app.files[0]'],
        [
          source({ journald: { directory: `/var/log/a${character}b` } }),
          'events.sources.app.journald.directory',
        ],
        [source({ http: { listen: inside } }), 'events.sources.app.http.listen'],
        [source({ syslog: { socket: inside } }), 'events.sources.app.syslog.socket'],
        [tls({ clientAuthorities: inside }), 'events.sources.app.syslog.tls.clientAuthorities'],
      ] as const) {
        expect(problems({ ...whole, audit: {}, ...changed })).toContainEqual({
          path,
          message: expect.stringContaining('absolute path'),
        });
      }
    },
  );

  it('delivers to any folder that the bootstrap config allows, and below', () => {
    const deliveries = [delivery, { ...delivery, file: '/srv/tmpfs/a/b/c' }];

    expect(problems({ ...whole, deliveries })).toEqual([]);
  });

  it.each([
    '/run/gatehouse/control.sock',
    '/run/gatehouse/control.sock/x',
    '/run/gatehouse/consumers',
    '/run/gatehouse/consumers/app.sock',
    '/run/gatehouse/.socket-AbCdEf',
    '/run/gatehouse/.socket-AbCdEf/s',
    '/run/gatehouse/.gatehouse-0123456789abcdef-0123456789abcdef.tmp',
    '/run/gatehouse/secrets/.gatehouse-0123456789abcdef-0123456789abcdef.tmp',
  ])('does not deliver to a name of the agent’s own: %s', (file) => {
    expect(problems({ ...whole, deliveries: [{ ...delivery, file }] })).toEqual([
      { path: 'deliveries[0].file', message: 'is a name that the agent keeps for itself' },
    ]);
  });

  it.each(['/srv/tmpfs/state', '/srv/tmpfs/state/spool-key', '/srv/tmpfs/state/a/b'])(
    'does not deliver into the state directory: %s',
    (file) => {
      expect(problems({ ...whole, deliveries: [{ ...delivery, file }] })).toEqual([
        {
          path: 'deliveries[0].file',
          message: 'is in stateDirectory, which is for the agent alone: /srv/tmpfs/state',
        },
      ]);
    },
  );

  it.each([
    '/run/gatehouse/control.sock.pem',
    '/run/gatehouse/consumers.txt',
    '/run/gatehouse/secrets/control.sock',
    '/run/gatehouse/.gatehouserc',
    '/run/gatehouse/.hidden',
    '/srv/tmpfs/consumers',
    '/srv/tmpfs/state-of-mind',
  ])('delivers to what only looks like one: %s', (file) => {
    expect(problems({ ...whole, deliveries: [{ ...delivery, file }] })).toEqual([]);
  });

  it('does not deliver twice to one file', () => {
    const deliveries = [delivery, { ...delivery, secret: 'database-password' }];

    expect(problems({ ...whole, deliveries })).toEqual([
      { path: 'deliveries[1].file', message: 'is the file of deliveries[0] already' },
    ]);
  });

  it.each([
    '/etc/shadow',
    '/var/log',
    '/var/lo*/x',
    '/var/log*/x',
    '/var/{log,lib}/x',
    '/var/log/../../etc/shadow',
    '/var/log/.{.,}/.{.,}/etc/shadow',
    '/var/log/[.][.]/x',
    '/*/*',
    '/var//log/x',
  ])('does not read %s', (glob) => {
    expect(problems(reading(glob))).toEqual([
      expect.objectContaining({ path: 'events.sources.app.files[1]' }),
    ]);
  });

  it.each(['/var/log/*', '/var/log/*/*.log', '/srv/app/log/today.log'])('reads %s', (glob) => {
    expect(problems(reading(glob))).toEqual([]);
  });

  it.each([
    ['/etc/cron.d/x', 'must be below one of allow.deliverTo'],
    ['/run/gatehouse/../x', 'must not contain ..'],
    ['/run/gatehouse//control.sock', 'must be below one of allow.deliverTo'],
    ['/run/gatehouse/./control.sock', 'must be below one of allow.deliverTo'],
    ['/run/gatehouse/control.sock', 'is a name that the agent keeps for itself'],
    ['/run/gatehouse/consumers/x', 'is a name that the agent keeps for itself'],
  ])('does not listen at %s', (path, message) => {
    const sources = { a: { http: { listen: path } }, b: { syslog: { socket: path } } };
    expect(problems({ ...whole, audit: {}, events: { ...whole.events, sources } })).toEqual([
      { path: 'events.sources.a.http.listen', message: expect.stringContaining(message) },
      { path: 'events.sources.b.syslog.socket', message: expect.stringContaining(message) },
    ]);
  });

  it('reads journal files where it may read, and standard input once', () => {
    expect(problemsWith({ a: { journald: { directory: '/etc/journal' } } })).toEqual([
      { path: 'events.sources.a.journald.directory', message: expect.stringContaining('allow.readFrom') },
    ]);
    expect(problemsWith({ a: { stdin: true }, b: { stdin: true } })).toEqual([
      { path: 'events.sources.b.stdin', message: 'is read by a already' },
    ]);
    expect(
      problemsWith({
        a: { journald: { directory: '/var/log/journal' } },
        b: { http: { listen: '/srv/tmpfs/s' } },
      }),
    ).toEqual([]);
  });

  it('seals its spool unless it says that it need not', () => {
    const { 'tls-key': _, ...secrets } = whole.secrets;
    const open = { ...whole, keys: {}, secrets };

    expect(problems(open)).toEqual([expect.objectContaining({ path: 'keys.bindingKey' })]);
    expect(problems({ ...open, events: undefined })).toEqual([]);
    expect(problems({ ...open, events: { ...whole.events, spool: { allowClearSpool: true } } })).toEqual([]);
  });

  it('opens sealed files only with keys that it names', () => {
    const { events: _, ...rest } = whole;
    const trustedKeys = ['arn:aws:kms:eu-west-1:123456789012:key/1b5f2a3c-0d4e-4f6a-8b7c-9d0e1f2a3b4c'];

    expect(problems({ ...rest, keys: {} })).toEqual([
      expect.objectContaining({ path: 'secrets.tls-key.sealedFile' }),
    ]);
    expect(problems({ ...rest, keys: { trustedKeys } })).toEqual([]);
  });

  it('knows no name in a template that it cannot fill in', () => {
    const found = problems({ ...whole, events: { ...whole.events, logGroup: '/gatehouse/{nmae}' } });

    expect(found).toEqual([expect.objectContaining({ path: 'events.logGroup' })]);
  });

  it('changes live in secrets, deliveries and schedules; keys and events wait for a restart', () => {
    const changed = {
      ...whole,
      keys: { bindingKey: 'alias/other' },
      secrets: { 'tls-key': whole.secrets['tls-key'] },
      deliveries: [],
      events: { ...whole.events, retentionDays: 60 },
      schedules: { refreshSecretsCron: '0 3 * * *' },
    };

    expect(difference(gatewaySchema, validate(whole), validate(changed))).toEqual({
      live: ['secrets.database-password', 'deliveries', 'schedules.refreshSecretsCron'],
      restart: ['keys.bindingKey', 'events.retentionDays'],
    });
  });
});

describe('no problem repeats a value', () => {
  const canary = 'Canary/Zq8x1+value';

  /** The document with one of its values, or a whole part of it, replaced by canaries. */
  function spoiled(document: unknown): fc.Arbitrary<unknown> {
    const bad = fc.constantFrom<unknown>(
      canary,
      `/${canary}`,
      `/run/gatehouse/../${canary}`,
      [canary],
      7,
      null,
      {},
    );
    const deeper: fc.Arbitrary<unknown>[] = [];
    if (Array.isArray(document)) {
      for (const [index, item] of document.entries()) {
        deeper.push(spoiled(item).map((value) => document.with(index, value)));
      }
    } else if (typeof document === 'object' && document !== null) {
      for (const [key, item] of Object.entries(document)) {
        deeper.push(spoiled(item).map((value) => Object.assign({}, document, { [key]: value })));
      }
    }
    return fc.oneof(bad, ...deeper);
  }

  it('of the gateway config', () => {
    fc.assert(
      fc.property(fc.oneof(spoiled(whole), fc.jsonValue()), (document) => {
        const text = said(() => validate(decodeGateway({ text: JSON.stringify(document) })));

        expect(text).not.toContain('Zq8x1');
      }),
      { numRuns: 500 },
    );
  });

  it('of the bootstrap config', () => {
    const variables = fc.constantFrom(
      'GATEHOUSE_NAME',
      'GATEHOUSE_CREDENTIALS_SOURCE',
      'GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_TRUST_ANCHOR_ARN',
      'GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_SESSION_DURATION_SECONDS',
      'GATEHOUSE_ALLOW_DELIVER_TO',
      'GATEHOUSE_SECRET_NAME',
      'AWS_REGION',
      'STATE_DIRECTORY',
    );
    const env = fc.dictionary(variables, fc.constantFrom(`${canary}!`, `/${canary}/../`, `[${canary}`));

    fc.assert(
      fc.property(env, (given) => {
        const inputs = { flags: {}, env: given, uid: 0, hostname: 'h', defaultFile: '/nowhere/config.json' };

        expect(said(() => loadBootstrap(bootstrapSchema, inputs))).not.toContain('Zq8x1');
      }),
    );
  });
});

describe('the schemas', () => {
  it.each([
    { title: 'bootstrap', schema: bootstrapSchema },
    { title: 'gateway', schema: gatewaySchema },
  ])('of the $title config say of every key what it is and when a change applies', ({ schema }) => {
    const silent = [...keys(schema, [])].filter(({ at }) => {
      const { description, applies } = metadataOf(at) ?? {};
      return description === undefined || applies === undefined;
    });

    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  it('become JSON Schemas', () => {
    const bootstrap = jsonSchemaOf(bootstrapSchema, { title: 'Bootstrap', isComplete: false });
    const gateway = jsonSchemaOf(gatewaySchema, { title: 'Gateway', isComplete: true });

    expect(Object.keys(bootstrap.properties ?? {})).toEqual([
      '$schema',
      ...Object.keys(bootstrapSchema.shape),
    ]);
    expect(gateway.required).toEqual(['version']);
  });

  it('bring the example that a user starts from, which is valid', () => {
    const { $schema, ...example } = exampleBootstrap();

    expect($schema).toBe('./config.schema.json');
    expect(example).toEqual({ region: 'eu-west-1', gatewayConfig: { secretName: 'prod/gatehouse/web' } });
  });

  it('know every variable of the bootstrap config that the interfaces name', () => {
    const names = ['GATEHOUSE_SECRET_NAME', 'GATEHOUSE_CREDENTIALS_SOURCE', 'GATEHOUSE_STATE_DIRECTORY'];
    const env = Object.fromEntries(
      names.map((name) => [name, name.endsWith('SOURCE') ? 'container' : '/var/lib/x']),
    );

    const loaded = loadBootstrap(bootstrapSchema, {
      flags: {},
      env: { ...env, GATEHOUSE_CREDENTIALS_ROLES_ANYWHERE_ROLE_ARN: '', GATEHOUSE_SERVICE_PORT: '1' },
      uid: 0,
      hostname: 'h',
      defaultFile: '/nowhere/config.json',
    });

    expect(loaded.unknownVariables).toEqual(['GATEHOUSE_SERVICE_PORT']);
    expect(loaded.config).toMatchObject({
      credentials: { source: 'container' },
      stateDirectory: '/var/lib/x',
    });
  });
});

/** Every named key of a schema, in arrays, records and alternatives too. */
function* keys(
  schema: z.core.$ZodType,
  path: readonly string[],
): Generator<{ path: string; at: z.core.$ZodType }> {
  const bare = bareSchema(schema);
  if (bare instanceof z.ZodObject) {
    for (const [key, at] of Object.entries(bare.shape)) {
      yield { path: [...path, key].join('.'), at };
      yield* keys(at, [...path, key]);
    }
  } else if (bare instanceof z.ZodRecord) {
    yield* keys(bare.valueType, [...path, '*']);
  } else if (bare instanceof z.ZodArray) {
    yield* keys(bare.element, [...path, '[]']);
  } else if (bare instanceof z.ZodUnion) {
    for (const option of bare.options) yield* keys(option, path);
  }
}
