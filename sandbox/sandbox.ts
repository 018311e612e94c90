import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as timeout } from 'node:timers/promises';
import { administration, isAdministrationPath } from './administration.ts';
import { type Calls, createCalls } from './calls.ts';
import {
  type Container,
  containerCredentials,
  isContainerPath,
  newContainer,
} from './container-credentials.ts';
import { type DynamoDbState, dynamoDb } from './dynamodb.ts';
import { type Cloud, type Endpoint, header, respond, type Visit } from './endpoint.ts';
import { type Befalling, createFaults, type Faults } from './faults.ts';
import { iam } from './iam.ts';
import { createIdentities, type Identities } from './identities.ts';
import { type Instance, instanceMetadata, isMetadataPath, newInstance } from './instance-metadata.ts';
import { jsonEndpoint } from './json-protocol.ts';
import { type KmsState, kms } from './kms.ts';
import { type LogsState, logs } from './logs.ts';
import { queryEndpoint } from './query-protocol.ts';
import { unknownService } from './rest-json.ts';
import { createRolesAnywhere, type RolesAnywhere } from './roles-anywhere/state.ts';
import { isRolesAnywherePath, rolesAnywhereEndpoint } from './roles-anywhere.ts';
import { type SecretsManagerState, secretsManager } from './secrets-manager.ts';
import { type Exchange, type Listener, serveHttp } from './server.ts';
import { AwsError, type JsonService, type RawRequest, type RawResponse } from './service.ts';
import { claimedAccessKeyId } from './signature.ts';
import { parseSnapshot, snapshotText } from './snapshot.ts';
import { sts } from './sts.ts';
import { type ThrowawayTls, throwawayTls } from './tls.ts';

export interface SandboxOptions {
  /** The cloud's clock; the system's where absent. */
  readonly now?: () => Date;
  /** How a latency fault waits; real time where absent. */
  readonly sleep?: (ms: number) => Promise<unknown>;
  readonly accountId?: string;
  readonly region?: string;
}

export interface SandboxListenOptions {
  readonly port?: number;
  readonly host?: string;
  readonly tls?: boolean;
  /** Serves only instance metadata and container credentials: what SDKs fetch over plain HTTP beside a TLS port. */
  readonly credentialsOnly?: boolean;
}

export interface SandboxListener extends Listener {
  /** The throwaway CA to trust; only with TLS. */
  readonly caPem?: string;
}

export interface ServiceStates {
  readonly dynamoDb: DynamoDbState;
  readonly kms: KmsState;
  readonly logs: LogsState;
  readonly secretsManager: SecretsManagerState;
}

/** A whole AWS of one account in one region. */
export interface Sandbox {
  readonly accountId: string;
  readonly region: string;
  /** One exchange without a socket. Rejects with an ECONNRESET error where a fault cuts the connection. */
  handle(request: RawRequest): Promise<RawResponse>;
  listen(options?: SandboxListenOptions): Promise<SandboxListener>;
  readonly identities: Identities;
  readonly instance: Instance;
  readonly container: Container;
  readonly rolesAnywhere: RolesAnywhere;
  readonly faults: Faults;
  readonly calls: Calls;
  /** The services' own state, for assertions. */
  readonly state: ServiceStates;
  /** Failures of the sandbox itself, each answered with a 500; the last `defectsMax` of them. */
  readonly defects: readonly unknown[];
  /** What the administrative path wants in `X-Sandbox-Token`. */
  readonly adminToken: string;
  /** All services' state, users, roles and keys as one text. */
  snapshot(): string;
  /** Takes a snapshot's state over. Throws SandboxError SANDBOX_STATE_DAMAGED for a text that is none. */
  restore(snapshot: string): void;
}

export const defectsMax = 100;

/** The role that the instance and the container have from the start. */
export const defaultRole = 'GatehouseHost';

export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const {
    now = () => new Date(),
    sleep = timeout,
    accountId = '123456789012',
    region = 'eu-west-1',
  } = options;
  const identities = createIdentities(accountId, now);
  identities.createRole(defaultRole);
  const cloud: Cloud = { accountId, region, identities };
  const instance = newInstance(region, defaultRole);
  const container = newContainer(defaultRole);
  const rolesAnywhere = createRolesAnywhere(accountId, region);
  const faults = createFaults();
  const calls = createCalls();
  const defects: unknown[] = [];
  const adminToken = randomBytes(24).toString('hex');

  const mounted = {
    dynamoDb: mount(dynamoDb, cloud),
    kms: mount(kms, cloud),
    logs: mount(logs, cloud),
    secretsManager: mount(secretsManager, cloud),
  };
  const jsonServices: readonly Mounted<unknown>[] = Object.values(mounted);
  const query = queryEndpoint(sts, cloud);
  const iamEndpoint = queryEndpoint(iam, cloud);
  const metadata = instanceMetadata(instance, accountId, region, identities);
  const containers = containerCredentials(container, accountId, identities);
  const sessions = rolesAnywhereEndpoint(rolesAnywhere, cloud);
  const admin = administration({
    adminToken,
    identities,
    instance,
    container,
    rolesAnywhere,
    customKeyStores: () => mounted.kms.state.customKeyStores,
    faults,
    calls,
  });

  const endpointOf = (request: RawRequest): Endpoint => {
    if (isMetadataPath(request.target)) return metadata;
    if (isContainerPath(request.target, container)) return containers;
    if (isRolesAnywherePath(request.target)) return sessions;
    const target = header(request, 'x-amz-target');
    if (target === undefined && isScopedTo('iam', request)) return iamEndpoint;
    if (target === undefined) return asksQuery(request) ? query : unknownService;
    const prefix = target.split('.')[0];
    return jsonServices.find((service) => service.targetPrefix === prefix)?.endpoint ?? unknownService;
  };

  const asAwsError = (error: unknown): AwsError => {
    if (error instanceof AwsError) return error;
    if (defects.push(error) > defectsMax) defects.shift();
    const said = error instanceof Error ? error.message : String(error);
    return new AwsError('InternalFailure', `a defect of the sandbox: ${said}`, 500);
  };

  const exchange = async (request: RawRequest): Promise<Exchange> => {
    if (isAdministrationPath(request.target)) {
      return { response: await admin(request), outcome: 'answered' };
    }
    const endpoint = endpointOf(request);
    const operation = endpoint.operationOf(request);
    const accessKeyId = claimedAccessKeyId(request);
    const effects = faults.effectsOn(endpoint.service, operation);

    for (const effect of effects) {
      if (effect.kind === 'latency') await sleep(effect.ms);
      if (effect.kind === 'hold') await effect.released;
      if (effect.kind === 'expire-credentials') identities.expire(accessKeyId ?? '');
    }
    const outcome = outcomeOf(effects);
    const time = new Date(now().getTime() + clockOffsetMs(effects));
    const visit: Visit = { now: time, requestId: randomUUID() };
    const answered = (): RawResponse => {
      const error = errorAmong(effects, endpoint);
      return error === undefined
        ? respond(endpoint, request, visit, asAwsError)
        : endpoint.failure(error, visit);
    };
    const response = outcome === 'cut' ? undefined : dated(answered(), time);
    calls.record({
      time: now(),
      service: endpoint.service,
      operation,
      accessKeyId,
      status: response?.status,
      outcome,
    });
    return { response, outcome };
  };

  const credentialsOnly = async (request: RawRequest): Promise<Exchange> => {
    const serves = isMetadataPath(request.target) || isContainerPath(request.target, container);
    if (serves) return exchange(request);
    const error = new AwsError('UnknownOperationException', 'This port has no services.', 404);
    const visit = { now: now(), requestId: randomUUID() };
    return { response: unknownService.failure(error, visit), outcome: 'answered' };
  };

  let certificate: Promise<ThrowawayTls> | undefined;

  return {
    accountId,
    region,
    identities,
    instance,
    container,
    rolesAnywhere,
    faults,
    calls,
    defects,
    adminToken,

    get state() {
      const { dynamoDb: tables, kms: keys, logs: logged, secretsManager: secrets } = mounted;
      return {
        dynamoDb: tables.state,
        kms: keys.state,
        logs: logged.state,
        secretsManager: secrets.state,
      };
    },

    async handle(request) {
      const { response, outcome } = await exchange(request);
      if (response === undefined || outcome !== 'answered') {
        throw Object.assign(new Error(`the connection was closed: ${outcome}`), { code: 'ECONNRESET' });
      }
      return response;
    },

    async listen({ port = 0, host = '127.0.0.1', tls = false, credentialsOnly: only = false } = {}) {
      if (tls) certificate ??= throwawayTls();
      const used = tls ? await certificate : undefined;
      const listener = await serveHttp(only ? credentialsOnly : exchange, { port, host }, used);
      return used === undefined ? listener : { ...listener, caPem: used.caPem };
    },

    snapshot() {
      const services: Record<string, object> = Object.fromEntries(
        Object.entries(mounted).map(([name, { state }]) => [name, state]),
      );
      services['rolesAnywhere'] = rolesAnywhere.snapshot();
      return snapshotText({ accountId, region, identities: identities.snapshot(), services });
    },

    restore(text) {
      const snapshot = parseSnapshot(text, accountId, region);
      identities.restore(snapshot.identities);
      for (const [name, service] of Object.entries(mounted)) {
        const state = snapshot.services[name];
        if (state !== undefined) service.restore(state);
      }
      rolesAnywhere.restore(snapshot.services['rolesAnywhere'] ?? {});
    },
  };
}

interface Mounted<State> {
  readonly targetPrefix: string;
  readonly endpoint: Endpoint;
  readonly state: State;
  restore(state: object): void;
}

/** A service with its state. */
function mount<State extends object>(service: JsonService<State>, cloud: Cloud): Mounted<State> {
  let current = service.newState();
  return {
    targetPrefix: service.targetPrefix,
    endpoint: jsonEndpoint(service, () => current, cloud),
    get state() {
      return current;
    },
    restore(state) {
      current = Object.assign(service.newState(), state);
    },
  };
}

/** Services that speak AWS Query are told apart by who the request is signed for. */
function isScopedTo(service: string, request: RawRequest): boolean {
  return header(request, 'authorization')?.includes(`/${service}/aws4_request`) ?? false;
}

function asksQuery(request: RawRequest): boolean {
  if (request.method === 'GET') return /[?&]Action=/u.test(request.target);
  return header(request, 'content-type')?.startsWith('application/x-www-form-urlencoded') ?? false;
}

function outcomeOf(effects: readonly Befalling[]): Exchange['outcome'] {
  const kinds = new Set(effects.map(({ kind }) => kind));
  if (kinds.has('cut')) return 'cut';
  if (kinds.has('lost-answer')) return 'lost';
  return kinds.has('half-body') ? 'half' : 'answered';
}

function clockOffsetMs(effects: readonly Befalling[]): number {
  return effects.reduce(
    (sum, effect) => (effect.kind === 'clock' ? sum + effect.offsetSeconds * 1000 : sum),
    0,
  );
}

function errorAmong(effects: readonly Befalling[], endpoint: Endpoint): AwsError | undefined {
  for (const effect of effects) {
    if (effect.kind === 'throttle') return endpoint.throttled;
    if (effect.kind === 'error') {
      return new AwsError(effect.name, effect.message ?? 'A fault of the sandbox.', effect.status ?? 400);
    }
  }
  return undefined;
}

/** SDKs set their clocks by this header. */
function dated(response: RawResponse, time: Date): RawResponse {
  return { ...response, headers: { ...response.headers, date: time.toUTCString() } };
}
