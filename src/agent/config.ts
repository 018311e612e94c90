import { posix } from 'node:path';
import { z } from 'zod';
import { credentialEndpointsConfig, monitoringConfig } from '../api/config.ts';
import type { Problem } from '../base/errors.ts';
import { closest } from '../config/closest.ts';
import { bootstrapConfig, gatewayConfigKeys } from '../config/config.ts';
import { exampleOf } from '../config/example.ts';
import type { Rule } from '../config/gateway.ts';
import { isGlobBelow } from '../config/glob-below.ts';
import { pathText } from '../config/path-text.ts';
import { deliveriesConfig, execConfig } from '../delivery/config.ts';
import { auditConfig, eventsConfig } from '../events/config.ts';
import { credentialsConfig } from '../identity/config.ts';
import { keysConfig } from '../keys/config.ts';
import { secretsConfig } from '../secrets/config.ts';
import { consumerRules } from './consumers/consumer-rules.ts';
import { rolesArePermitted } from './gateway-config/role-rules.ts';

/** The bootstrap config: local, without secrets, the limits of the gateway config. Loaded by `loadBootstrap`. */
export const bootstrapSchema = z.strictObject({
  name: bootstrapConfig.name,
  region: bootstrapConfig.region,
  gatewayConfig: bootstrapConfig.gatewayConfig,
  credentials: credentialsConfig.prefault({}).meta({
    description: 'Where the AWS credentials of this host come from.',
    applies: 'restart',
  }),
  allow: bootstrapConfig.allow,
  stateDirectory: bootstrapConfig.stateDirectory,
  runtimeDirectory: bootstrapConfig.runtimeDirectory,
  stopTimeoutSeconds: bootstrapConfig.stopTimeoutSeconds,
  logLevel: bootstrapConfig.logLevel,
  monitoring: monitoringConfig,
});

export type BootstrapConfig = z.output<typeof bootstrapSchema>;

/** The gateway config: everything else, the value of a secret. Read by `decodeGateway`, then `validateGateway`. */
export const gatewaySchema = z.strictObject({
  version: gatewayConfigKeys.version,
  keys: keysConfig.prefault({}),
  secrets: secretsConfig.default({}),
  deliveries: deliveriesConfig.default([]),
  exec: execConfig.prefault({}),
  credentialEndpoints: credentialEndpointsConfig.prefault({}).meta({
    description: 'AWS credentials for other programs of this host, each with its own.',
    applies: 'live',
  }),
  events: eventsConfig.optional().meta({
    description: 'What is shipped to CloudWatch Logs. Without it nothing is, and there is no spool.',
    applies: 'restart',
  }),
  audit: auditConfig.prefault({}),
  schedules: gatewayConfigKeys.schedules,
});

export type GatewayConfig = z.output<typeof gatewaySchema>;

/** What one room's schema cannot see: rules between keys, and the limits that the bootstrap config sets. */
export function gatewayRules(
  bootstrap: Pick<BootstrapConfig, 'allow' | 'runtimeDirectory' | 'stateDirectory'>,
): readonly Rule<GatewayConfig>[] {
  const { deliverTo, readFrom, assumeRoles } = bootstrap.allow;
  return [
    deliveriesNameSecrets,
    (gateway) => filesStayInside(gateway, deliverTo),
    filesAreNamedOnce,
    (gateway) => filesSpareOurs(gateway, bootstrap),
    ...consumerRules(bootstrap.allow),
    (gateway) => sourcesStayInside(gateway, readFrom),
    (gateway) => socketsStayInside(gateway, bootstrap),
    (gateway) => journalsStayInside(gateway, readFrom),
    streamsAreReadOnce,
    (gateway) => rolesArePermitted(gateway, assumeRoles),
    spoolIsSealed,
    auditIsShipped,
    auditStreamsAreTheirOwn,
    sealedFilesHaveKeys,
  ];
}

function deliveriesNameSecrets({ deliveries, exec, secrets }: GatewayConfig): Problem[] {
  const names = Object.keys(secrets);
  const wanted = [
    ...deliveries.map(({ secret }, index) => ({ secret, at: ['deliveries', index, 'secret'] })),
    ...Object.entries(exec.environment).map(([variable, secret]) => ({
      secret,
      at: ['exec', 'environment', variable],
    })),
  ];
  return wanted.flatMap(({ secret, at }) => {
    if (names.includes(secret)) return [];
    const meant = closest(secret, names);
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    return [{ path: pathText(at), message: `secrets has no such name${hint}` }];
  });
}

/** A file that the gateway config has us write, and where it says so. */
interface WrittenFile {
  readonly file: string;
  readonly at: readonly PropertyKey[];
}

function writtenFiles({ deliveries, credentialEndpoints }: GatewayConfig): WrittenFile[] {
  const delivered = deliveries.map(({ file }, index) => ({ file, at: ['deliveries', index, 'file'] }));
  const tokens = Object.entries(credentialEndpoints.consumers).flatMap(([name, { tokenFile }]) =>
    tokenFile === undefined
      ? []
      : [{ file: tokenFile.path, at: ['credentialEndpoints', 'consumers', name, 'tokenFile', 'path'] }],
  );
  return [...delivered, ...tokens];
}

/** Whether a path lies below one of the folders, and is not written so that it leads out of there again. */
function isBelow(path: string, folders: readonly string[]): boolean {
  return posix.normalize(path) === path && folders.some((folder) => path.startsWith(`${folder}/`));
}

function filesStayInside(gateway: GatewayConfig, deliverTo: readonly string[]): Problem[] {
  return writtenFiles(gateway).flatMap(({ file, at }) => {
    if (isBelow(file, deliverTo)) return [];
    const message = `must be below one of allow.deliverTo of the bootstrap config: ${list(deliverTo)}`;
    return [{ path: pathText(at), message }];
  });
}

function filesAreNamedOnce(gateway: GatewayConfig): Problem[] {
  const written = writtenFiles(gateway);
  return written.flatMap(({ file, at }) => {
    const first = written.find((other) => other.file === file);
    if (first === undefined || first.at === at) return [];
    return [{ path: pathText(at), message: `is the file of ${pathText(first.at.slice(0, -1))} already` }];
  });
}

/** Names of ours in the runtime directory: sockets, and the folder in which one is bound before it has its name. */
const reservedNames = /^(?:control\.sock|consumers|\.socket-.*)$/u;
/** What a file is called while it is being written, see `OpenDirectory.replace`: such names are also cleaned up. */
const temporaryName = /\/\.gatehouse-[^/]*$/u;

/** A file over one of our own would cut the agent off, or have it read what the gateway config says. */
function filesSpareOurs(
  gateway: GatewayConfig,
  { runtimeDirectory, stateDirectory }: Pick<BootstrapConfig, 'runtimeDirectory' | 'stateDirectory'>,
): Problem[] {
  return writtenFiles(gateway).flatMap(({ file, at }) => {
    const path = pathText(at);
    if (file === stateDirectory || file.startsWith(`${stateDirectory}/`)) {
      return [{ path, message: `is in stateDirectory, which is for the agent alone: ${stateDirectory}` }];
    }
    if (!isReserved(file, { runtimeDirectory, stateDirectory })) return [];
    return [{ path, message: 'is a name that the agent keeps for itself' }];
  });
}

/** Whether a path is one of ours. */
function isReserved(
  file: string,
  { runtimeDirectory, stateDirectory }: Pick<BootstrapConfig, 'runtimeDirectory' | 'stateDirectory'>,
): boolean {
  const name = file.startsWith(`${runtimeDirectory}/`)
    ? (file.slice(runtimeDirectory.length + 1).split('/')[0] ?? '')
    : '';
  return reservedNames.test(name) || temporaryName.test(file) || file.startsWith(`${stateDirectory}/`);
}

function sourcesStayInside({ events }: GatewayConfig, readFrom: readonly string[]): Problem[] {
  return Object.entries(events?.sources ?? {}).flatMap(([name, { files = [] }]) =>
    files.flatMap((glob, index) => {
      if (readFrom.some((folder) => isGlobBelow(glob, folder))) return [];
      const path = pathText(['events', 'sources', name, 'files', index]);
      return [
        { path, message: `must be below one of allow.readFrom of the bootstrap config: ${list(readFrom)}` },
      ];
    }),
  );
}

/** Sockets are made as deliveries are, and in the same places. */
function socketsStayInside(
  { events }: GatewayConfig,
  bootstrap: Pick<BootstrapConfig, 'allow' | 'runtimeDirectory' | 'stateDirectory'>,
): Problem[] {
  const { deliverTo } = bootstrap.allow;
  const sockets = Object.entries(events?.sources ?? {}).flatMap(([name, { http, syslog }]) => [
    { at: [name, 'http', 'listen'], socket: http?.listen },
    { at: [name, 'syslog', 'socket'], socket: syslog?.socket },
  ]);
  return sockets.flatMap(({ at, socket }) => {
    if (socket?.startsWith('/') !== true) return [];
    const path = pathText(['events', 'sources', ...at]);
    if (socket.split('/').includes('..')) return [{ path, message: 'must not contain ..' }];
    if (isReserved(socket, bootstrap))
      return [{ path, message: 'is a name that the agent keeps for itself' }];
    if (isBelow(socket, deliverTo)) return [];
    const message = `must be below one of allow.deliverTo of the bootstrap config: ${list(deliverTo)}`;
    return [{ path, message }];
  });
}

function journalsStayInside({ events }: GatewayConfig, readFrom: readonly string[]): Problem[] {
  return Object.entries(events?.sources ?? {}).flatMap(([name, { journald }]) => {
    const folder = journald?.directory;
    if (folder === undefined || readFrom.some((allowed) => isGlobBelow(folder, allowed))) return [];
    const path = pathText(['events', 'sources', name, 'journald', 'directory']);
    const message = `must be below one of allow.readFrom of the bootstrap config: ${list(readFrom)}`;
    return [{ path, message }];
  });
}

function streamsAreReadOnce({ events }: GatewayConfig): Problem[] {
  return (['stdin', 'exec'] as const).flatMap((kind) => {
    const names = Object.entries(events?.sources ?? {}).flatMap(([name, source]) =>
      source[kind] === true ? [name] : [],
    );
    return names.slice(1).map((name) => ({
      path: pathText(['events', 'sources', name, kind]),
      message: `is read by ${names[0]} already`,
    }));
  });
}

function spoolIsSealed({ events, keys }: GatewayConfig): Problem[] {
  if (events === undefined || events.spool.allowClearSpool || keys.bindingKey !== undefined) return [];
  return [
    {
      path: 'keys.bindingKey',
      message:
        'is missing: events need it to seal their spool, or events.spool.allowClearSpool to do without',
    },
  ];
}

function auditIsShipped({ audit, events }: GatewayConfig): Problem[] {
  const sources = Object.values(events?.sources ?? {});
  if (audit.whenFull === 'allow' || sources.some((source) => source.audit !== undefined)) return [];
  return [{ path: 'audit.whenFull', message: 'deny needs a source of events with audit: true' }];
}

/** What else is in the stream of a chain would count as foreign there, and would hold the audit up when it waits. */
function auditStreamsAreTheirOwn({ events }: GatewayConfig): Problem[] {
  if (events === undefined) return [];
  const streams = Object.entries(events.sources).map(([name, source]) => ({
    name,
    isAudit: source.audit !== undefined,
    stream: [source.logGroup ?? events.logGroup, source.logStream ?? events.logStream]
      .map((template) => template.replaceAll('{source}', name))
      .join(':'),
  }));
  return streams.flatMap(({ name, isAudit, stream }, index) => {
    const other = streams.find((each, at) => at !== index && each.stream === stream);
    if (!isAudit || other === undefined) return [];
    const path = pathText(['events', 'sources', name]);
    return [{ path, message: `audit needs a log stream of its own, and ${other.name} has the same` }];
  });
}

function sealedFilesHaveKeys({ secrets, keys }: GatewayConfig): Problem[] {
  if (keys.bindingKey !== undefined || keys.trustedKeys.length > 0) return [];
  return Object.entries(secrets).flatMap(([name, secret]) => {
    if (!('sealedFile' in secret) || secret.sealedFile === undefined) return [];
    const path = pathText(['secrets', name, 'sealedFile']);
    return [
      { path, message: 'needs keys.bindingKey or keys.trustedKeys: no other key may open a sealed file' },
    ];
  });
}

function list(folders: readonly string[]): string {
  return folders.join(', ');
}

/** What a user starts from: config.example.json, made of the examples in the schema. */
export function exampleBootstrap(): Record<string, unknown> {
  return {
    $schema: './config.schema.json',
    ...exampleOf(bootstrapSchema, [['region'], ['gatewayConfig', 'secretName']]),
  };
}
