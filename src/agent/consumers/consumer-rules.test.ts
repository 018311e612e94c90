import { describe, expect, it } from 'vitest';
import { GatehouseError } from '../../base/errors.ts';
import { validateGateway } from '../../config/gateway.ts';
import { gatewayRules, gatewaySchema } from '../config.ts';

const role = 'arn:aws:iam::123456789012:role/app';
const tokenFile = { path: '/run/gatehouse/tokens/app' };
const allowed = {
  deliverTo: ['/run/gatehouse'],
  readFrom: ['/var/log'],
  assumeRoles: [],
  consumerRoles: [role, 'arn:aws:iam::123456789012:role/batch-*'],
  consumerHostRole: false,
  listenPorts: [9911, 9912],
};

/** The problems of a gateway config with these endpoints; none when it is valid. */
function problems(credentialEndpoints: object, allow = allowed, more: object = {}): unknown {
  const directories = { runtimeDirectory: '/run/gatehouse', stateDirectory: '/var/lib/gatehouse' };
  try {
    const document = { version: 1, credentialEndpoints, ...more };
    validateGateway(gatewaySchema, gatewayRules({ allow, ...directories }), document);
    return [];
  } catch (error) {
    if (error instanceof GatehouseError) return error.details['problems'];
    throw error;
  }
}

/** The problems of one consumer called `app`. */
function problemsOf(consumer: object, allow = allowed): unknown {
  return problems({ containerPort: 9912, consumers: { app: consumer } }, allow);
}

const place = 'credentialEndpoints.consumers.app';

describe('a consumer', () => {
  it.each([
    ['a role of its own and a token', { roleArn: role, tokenFile }],
    ['a role that a pattern permits', { roleArn: 'arn:aws:iam::123456789012:role/batch-7', socket: {} }],
    [
      'all that can be said',
      {
        roleArn: role,
        externalId: 'x1',
        sessionName: 'app@web-1',
        sessionPolicy: { Version: '2012-10-17', Statement: [] },
        durationSeconds: 900,
        tokenFile: { ...tokenFile, owner: 'app', group: 'app', mode: '0440' },
        socket: { owner: '1000', mode: '0660' },
        metadataPort: 9911,
      },
    ],
  ])('with %s is right', (_what, consumer) => {
    expect(problemsOf(consumer)).toEqual([]);
  });

  it.each([
    [{}, 'must have roleArn, sessionPolicy or both, or else allowHostRole'],
    [{ roleArn: role, allowHostRole: true, socket: {} }, 'must have roleArn, sessionPolicy or both'],
    [{ roleArn: role }, 'must have at least one of tokenFile, socket and metadataPort'],
  ])('%j lacks something', (consumer, message) => {
    expect(problemsOf(consumer)).toContainEqual({ path: place, message: expect.stringContaining(message) });
  });

  it.each([
    ['externalId', { sessionPolicy: {}, externalId: 'x1', socket: {} }],
    ['roleArn', { roleArn: 'arn:aws:iam::123456789012:user/app', socket: {} }],
    ['sessionPolicy', { sessionPolicy: { Sid: 'x'.repeat(2048) }, socket: {} }],
    ['durationSeconds', { roleArn: role, durationSeconds: 3601, socket: {} }],
    ['tokenFile.mode', { roleArn: role, tokenFile: { ...tokenFile, mode: '0444' } }],
    ['tokenFile.path', { roleArn: role, tokenFile: { path: '/run/gatehouse/../etc/passwd' } }],
    ['socket.mode', { roleArn: role, socket: { mode: '0666' } }],
  ])('is told that its %s is wrong', (key, consumer) => {
    expect(problemsOf(consumer)).toEqual([{ path: `${place}.${key}`, message: expect.any(String) }]);
  });

  it.each(['App', '../app', 'a/b', '', '.app', 'a'.repeat(49)])('cannot be called %j', (name) => {
    expect(problems({ consumers: { [name]: { roleArn: role, socket: {} } } })).toHaveLength(1);
  });
});

describe('whoever writes the gateway config', () => {
  const nothing = { ...allowed, consumerRoles: [], listenPorts: [] };

  it('hands out no role and opens no port that the bootstrap config does not permit', () => {
    const consumers = { app: { roleArn: role, tokenFile, metadataPort: 9911 } };

    expect(problems({ containerPort: 9912, consumers }, nothing)).toEqual([
      {
        path: `${place}.roleArn`,
        message: 'is not permitted by allow.consumerRoles of the bootstrap config',
      },
      { path: 'credentialEndpoints.containerPort', message: expect.stringContaining('allow.listenPorts') },
      { path: `${place}.metadataPort`, message: expect.stringContaining('allow.listenPorts') },
    ]);
  });

  it.each([
    'arn:aws:iam::123456789012:role/app2',
    'arn:aws:iam::123456789012:role/path/app',
    'arn:aws:iam::999999999999:role/batch-7',
    'arn:aws:iam::123456789012:role/batch',
  ])('does not get %s by its likeness to a role that is permitted', (roleArn) => {
    expect(problemsOf({ roleArn, socket: {} })).toHaveLength(1);
  });

  it.each([
    ['allowHostRole', { allowHostRole: true, socket: {} }],
    ['sessionPolicy', { sessionPolicy: { Version: '2012-10-17' }, socket: {} }],
  ])("hands out the host's own role by %s only where that is permitted", (key, consumer) => {
    const message = expect.stringContaining('allow.consumerHostRole');

    expect(problemsOf(consumer)).toEqual([{ path: `${place}.${key}`, message }]);
    expect(problemsOf(consumer, { ...allowed, consumerHostRole: true })).toEqual([]);
  });

  it.each([
    ['/etc/cron.d/app', 'must be below one of allow.deliverTo of the bootstrap config: /run/gatehouse'],
    ['/run/gatehouse/control.sock', 'is a name that the agent keeps for itself'],
    ['/run/gatehouse/consumers/other.sock', 'is a name that the agent keeps for itself'],
  ])('has no token written to %s', (path, message) => {
    expect(problemsOf({ roleArn: role, tokenFile: { path } })).toEqual([
      { path: `${place}.tokenFile.path`, message },
    ]);
  });

  it('cannot have two things written to one file, nor served at one port', () => {
    const consumers = {
      app: { roleArn: role, tokenFile, metadataPort: 9911 },
      other: { roleArn: role, tokenFile, metadataPort: 9911 },
    };
    const secrets = { a: { secretsManager: { secretId: 'a' } } };
    const deliveries = [{ secret: 'a', file: tokenFile.path }];
    const other = 'credentialEndpoints.consumers.other';

    expect(problems({ containerPort: 9912, consumers }, allowed, { secrets, deliveries })).toEqual([
      { path: `${place}.tokenFile.path`, message: 'is the file of deliveries[0] already' },
      { path: `${other}.tokenFile.path`, message: 'is the file of deliveries[0] already' },
      { path: `${other}.metadataPort`, message: `is the port of ${place}.metadataPort already` },
    ]);
  });

  it('is reminded of the port where consumers with tokens ask', () => {
    expect(problems({ consumers: { app: { roleArn: role, tokenFile } } })).toEqual([
      { path: 'credentialEndpoints.containerPort', message: expect.stringContaining('is missing') },
    ]);
  });
});
