import { z } from 'zod';
import type { Calls } from './calls.ts';
import { equalInConstantTime } from './constant-time.ts';
import type { Container } from './container-credentials.ts';
import { header } from './endpoint.ts';
import { type FaultRule, type Faults, parseFaults } from './faults.ts';
import type { Identities, UserOptions } from './identities.ts';
import type { Instance } from './instance-metadata.ts';
import { type CustomKeyStore, connectionStates } from './kms/state.ts';
import type { RolesAnywhere } from './roles-anywhere/state.ts';
import { SandboxError } from './sandbox-error.ts';
import { AwsError, type RawRequest, type RawResponse } from './service.ts';
import { splitTarget } from './signature.ts';

/** What the administrative path may see and change. */
export interface Administered {
  readonly adminToken: string;
  readonly identities: Identities;
  readonly instance: Instance;
  readonly container: Container;
  readonly rolesAnywhere: RolesAnywhere;
  /** KMS's, which nothing in its API makes without a cluster. */
  readonly customKeyStores: () => Map<string, CustomKeyStore>;
  readonly faults: Faults;
  readonly calls: Calls;
}

const root = '/_sandbox/';

const roleName = z.string().regex(/^[\w+=,.@-]{1,64}$/u);
/** Policies as documents, or as the text of one. Without any, everything is allowed. */
const permissions = {
  policies: z
    .array(z.union([z.string(), z.record(z.string(), z.unknown())]))
    .max(10)
    .optional(),
  tags: z.record(z.string(), z.string()).optional(),
};
const lifeSeconds = z.int().min(1).max(86_400);
const credentialsRequest = z.union([
  z.strictObject({ user: roleName, ...permissions }),
  z.strictObject({
    role: roleName,
    sessionName: z.string().optional(),
    durationSeconds: lifeSeconds.optional(),
  }),
]);
const roleRequest = z.strictObject({
  name: roleName,
  maxSessionSeconds: z.int().min(3600).max(43_200).optional(),
  trustPolicy: z.string().optional(),
  externalId: z.string().optional(),
  ...permissions,
});
const machineRequest = z.strictObject({
  role: roleName.nullable().optional(),
  credentialSeconds: lifeSeconds.optional(),
  frozen: z.boolean().optional(),
});

const trustAnchorRequest = z.strictObject({ name: z.string().optional(), certificates: z.string() });
const profileRequest = z.strictObject({
  name: z.string().optional(),
  roleArns: z.array(z.string()),
  durationSeconds: z.int().optional(),
  acceptRoleSessionName: z.boolean().optional(),
});
const openIdProviderRequest = z.strictObject({
  url: z.string(),
  clientIds: z.array(z.string()),
  keys: z.array(z.looseObject({ kid: z.string() })),
});
const crlRequest = z.strictObject({ trustAnchorArn: z.string(), crl: z.string() });
const customKeyStoreRequest = z.strictObject({
  id: z.string().regex(/^cks-[0-9a-f]{17}$/u),
  name: z.string().min(1).max(256),
  clusterId: z.string().optional(),
  connection: z.enum(connectionStates).optional(),
  error: z.string().optional(),
});
const enablement = z.strictObject({ enabled: z.boolean() });

export function isAdministrationPath(target: string): boolean {
  return target.startsWith(root);
}

/**
 * What tests in other processes steer this cloud with. No AWS client can come here by mistake: the path is not AWS's,
 * and a header must hold the token that the sandbox printed.
 *
 * `GET|POST|DELETE faults`, `DELETE faults/ID`, `GET|DELETE calls`, `POST credentials` (of a role session, or a user's
 * long-term key), `DELETE credentials[/ACCESS_KEY_ID]` (expires them), `POST roles`, `POST open-id-providers`,
 * `PUT instance`, `PUT container`, `POST trust-anchors`,
 * `PUT trust-anchors/ID` (enables or disables), `POST profiles`, `PUT profiles/ID`, `POST crls`,
 * `POST custom-key-stores` (makes one, or changes its connection).
 */
export function administration(administered: Administered): (request: RawRequest) => Promise<RawResponse> {
  const { adminToken, faults, calls, identities, instance, container, rolesAnywhere } = administered;

  const routes: Readonly<Record<string, (body: unknown, id: string | undefined) => unknown>> = {
    'GET faults': () => ({ faults: faults.list() }),
    'POST faults': (body) => ({ ids: rulesOf(body).map((rule) => faults.add(rule)) }),
    'DELETE faults': (_body, id) => {
      if (id === undefined) faults.clear();
      else if (!faults.remove(id)) throw new AwsError('NotFound', `no fault ${id}`, 404);
      return {};
    },
    'GET calls': () => ({ calls: calls.list() }),
    'DELETE calls': () => {
      calls.clear();
      return {};
    },
    'POST credentials': (body) => issued(parsed(credentialsRequest, body), identities),
    'DELETE credentials': (_body, id) => ({ expired: identities.expire(id) }),
    'POST roles': (body) => {
      const { name, policies, tags, ...options } = parsed(roleRequest, body);
      const {
        tags: _tags,
        inlinePolicies: _inline,
        ...role
      } = identities.createRole(name, {
        ...options,
        ...attached({ policies, tags }),
      });
      return role;
    },
    'POST open-id-providers': (body) =>
      identities.openIdProviders.create(parsed(openIdProviderRequest, body)),
    'POST trust-anchors': (body) => rolesAnywhere.createTrustAnchor(parsed(trustAnchorRequest, body)),
    'PUT trust-anchors': (body, id = '') => enable(rolesAnywhere.trustAnchor(id), body),
    'POST profiles': (body) => rolesAnywhere.createProfile(parsed(profileRequest, body)),
    'PUT profiles': (body, id = '') => enable(rolesAnywhere.profile(id), body),
    'POST crls': (body) => rolesAnywhere.importCrl(parsed(crlRequest, body)),
    'POST custom-key-stores': (body) => addCustomKeyStore(parsed(customKeyStoreRequest, body)),
    'PUT instance': (body) => change(instance, parsed(machineRequest, body)),
    'PUT container': (body) => change(container, parsed(machineRequest, body)),
  };

  const addCustomKeyStore = (wanted: z.infer<typeof customKeyStoreRequest>): CustomKeyStore => {
    const { id, name, clusterId = 'cluster-sandbox', connection = 'CONNECTED', error } = wanted;
    const createdAt = administered.customKeyStores().get(id)?.createdAt ?? Date.now();
    const store: CustomKeyStore = { id, name, clusterId, createdAt, connection, error };
    administered.customKeyStores().set(id, store);
    return store;
  };

  const change = (machine: Instance | Container, wanted: z.infer<typeof machineRequest>) => {
    const {
      role = machine.role,
      credentialSeconds = machine.credentialSeconds,
      frozen = machine.frozen,
    } = wanted;
    if (typeof role === 'string' && identities.role(role) === undefined) identities.createRole(role);
    Object.assign(machine, { role: role ?? undefined, credentialSeconds, frozen });
    return { role, credentialSeconds, frozen };
  };

  const answer = (request: RawRequest): unknown => {
    if (!equalInConstantTime(header(request, 'x-sandbox-token') ?? '', adminToken)) {
      throw new AwsError('Forbidden', 'X-Sandbox-Token is not the token that the sandbox printed', 403);
    }
    const [name = '', id] = splitTarget(request.target).path.slice(root.length).split('/');
    const route = routes[`${request.method} ${name}`];
    if (route === undefined) throw new AwsError('NotFound', `no ${request.method} ${root}${name}`, 404);
    return route(bodyOf(request), id);
  };

  return async (request) => {
    try {
      return json(200, answer(request));
    } catch (error) {
      if (error instanceof SandboxError) {
        return json(400, { error: error.code, message: error.message, problems: error.problems });
      }
      if (error instanceof AwsError) return json(error.status, { error: error.name, message: error.message });
      throw error;
    }
  };
}

function enable(resource: { enabled: boolean } | undefined, body: unknown): unknown {
  if (resource === undefined) throw new AwsError('NotFound', 'no such resource', 404);
  return Object.assign(resource, parsed(enablement, body));
}

function issued(request: z.infer<typeof credentialsRequest>, identities: Identities): unknown {
  if ('user' in request) {
    const { accessKeyId, secretAccessKey, arn } = identities.createUser(request.user, attached(request));
    return { accessKeyId, secretAccessKey, arn };
  }
  const { role, sessionName = 'sandbox', durationSeconds = 3600 } = request;
  if (identities.role(role) === undefined) identities.createRole(role);
  return identities.issueSession({ role, sessionName, durationSeconds });
}

function attached({ policies, tags }: z.infer<z.ZodObject<typeof permissions>>): UserOptions {
  return {
    policies: policies?.map((policy) => (typeof policy === 'string' ? policy : JSON.stringify(policy))),
    tags: tags === undefined ? undefined : new Map(Object.entries(tags)),
  };
}

/** One rule, or a document of several. */
function rulesOf(body: unknown): readonly FaultRule[] {
  const several = typeof body === 'object' && body !== null && 'faults' in body;
  return parseFaults(several ? body : { faults: [body] });
}

function parsed<Schema extends z.ZodType>(schema: Schema, body: unknown): z.infer<Schema> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new AwsError('BadRequest', z.prettifyError(result.error), 400);
}

function bodyOf(request: RawRequest): unknown {
  if (request.body.length === 0) return {};
  try {
    return JSON.parse(request.body.toString('utf8'));
  } catch {
    throw new AwsError('BadRequest', 'the body is not JSON', 400);
  }
}

function json(status: number, value: unknown): RawResponse {
  return {
    status,
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(JSON.stringify(value)),
  };
}
