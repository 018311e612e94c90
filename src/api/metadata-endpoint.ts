import { metadataDocument } from './credential-document.ts';
import {
  type Consumer,
  type Endpoint,
  type EndpointReply,
  type EndpointRequest,
  notFound,
  type OnRefused,
  problem,
} from './endpoint.ts';
import { type MetadataTokens, tokenSecondsMax, tokenSecondsMin } from './metadata-token.ts';

/** What the metadata endpoint says of the machine; EC2's own facts are not known here. */
export interface Machine {
  readonly region: string;
  /** `i-` and 17 hexadecimal digits, always the same for this host. */
  readonly instanceId: string;
  /** 12 digits; undefined while it is not known. */
  readonly accountId: string | undefined;
}

export interface MetadataOptions {
  readonly consumer: Consumer;
  /** As the list of roles has it; the only one whose credentials can be asked for. */
  readonly roleName: string;
  readonly machine: Machine;
  readonly tokens: MetadataTokens;
  readonly onRefused: OnRefused;
}

const ttlHeader = 'x-aws-ec2-metadata-token-ttl-seconds';
const tokenPath = '/latest/api/token';
const rolesPath = '/latest/meta-data/iam/security-credentials';
const identityPath = '/latest/dynamic/instance-identity/document';

/**
 * A look-alike of EC2 instance metadata, version 2 alone, with what AWS's SDKs ask of it. Whoever can connect may ask:
 * the session token keeps out requests that somebody else can only make a program send, not other users.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export function metadataEndpoint(options: MetadataOptions): Endpoint {
  const { consumer, roleName, machine, tokens, onRefused } = options;
  const constant = documentsOf(machine);
  const credentialsPath = `${rolesPath}/${roleName}`;

  return async (request, signal) => {
    const path = plainPath(request.path);
    if (path === tokenPath) return tokenReply(request, tokens);
    if (request.method !== 'GET' && request.method !== 'HEAD') return wrongMethod('GET, HEAD');

    const shown = request.headers['x-aws-ec2-metadata-token'];
    if (typeof shown !== 'string') {
      onRefused({ reason: 'no token', consumer: consumer.name });
      return problem(401, 'Unauthorized', 'version 1 is not served: get a token first');
    }
    // No word of it to the operator: every token runs out.
    if (!tokens.isValid(shown)) return problem(401, 'Unauthorized', 'the token is wrong or has expired');

    if (path === rolesPath) return text(roleName);
    if (path === credentialsPath) return json(metadataDocument(await consumer.credentials(signal)));
    if (path === identityPath) return json(identityOf(machine));
    const document = constant.get(path);
    return document === undefined ? notFound : text(document);
  };
}

function tokenReply({ method, headers }: EndpointRequest, tokens: MetadataTokens): EndpointReply {
  if (method !== 'PUT') return wrongMethod('PUT');
  const wanted = headers[ttlHeader];
  const seconds = typeof wanted === 'string' && /^\d{1,5}$/u.test(wanted) ? Number(wanted) : 0;
  if (seconds < tokenSecondsMin || seconds > tokenSecondsMax) {
    return problem(400, 'BadRequest', `${ttlHeader} must be ${tokenSecondsMin} to ${tokenSecondsMax}`);
  }
  return text(tokens.issue(seconds), { [ttlHeader]: String(seconds) });
}

/** SDKs ask for both slash forms, and for dated versions of the same. */
function plainPath(path: string): string {
  return path.replace(/^\/\d{4}-\d{2}-\d{2}\//u, '/latest/').replace(/(?<=.)\/$/u, '');
}

function documentsOf({ region, instanceId }: Machine): ReadonlyMap<string, string> {
  return new Map([
    ['/latest/meta-data/instance-id', instanceId],
    ['/latest/meta-data/placement/region', region],
    // Some SDKs take the region from it, without its last letter.
    ['/latest/meta-data/placement/availability-zone', `${region}a`],
    ['/latest/meta-data/services/partition', partitionOf(region)],
  ]);
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

function identityOf(machine: Machine): object {
  const { region, instanceId, accountId } = machine;
  return {
    ...(accountId === undefined ? {} : { accountId }),
    availabilityZone: `${region}a`,
    instanceId,
    region,
    version: '2017-09-30',
  };
}

function wrongMethod(allow: string): EndpointReply {
  return problem(405, 'MethodNotAllowed', `only ${allow} is answered here`, { allow });
}

function text(body: string, headers: Readonly<Record<string, string>> = {}): EndpointReply {
  return { status: 200, headers, body };
}

function json(body: object): EndpointReply {
  return { status: 200, body };
}
