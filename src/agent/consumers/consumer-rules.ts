import type { CredentialEndpointsConfig } from '../../api/config.ts';
import type { Problem } from '../../base/errors.ts';
import { pathText } from '../../config/path-text.ts';
import { isListed } from '../gateway-config/role-rules.ts';

/** What of the bootstrap config's `allow` limits the consumers of credentials. */
export interface ConsumerLimits {
  readonly consumerRoles: readonly string[];
  readonly consumerHostRole: boolean;
  readonly listenPorts: readonly number[];
}

interface Section {
  readonly credentialEndpoints: CredentialEndpointsConfig;
}

const section = 'credentialEndpoints';

/** What a gateway config may hand to consumers, and where it may have us listen. */
export function consumerRules(limits: ConsumerLimits): readonly ((gateway: Section) => Problem[])[] {
  return [
    (gateway) => consumerRolesArePermitted(gateway, limits),
    (gateway) => portsArePermitted(gateway, limits),
    portsAreNamedOnce,
  ];
}

function consumerRolesArePermitted({ credentialEndpoints }: Section, limits: ConsumerLimits): Problem[] {
  return Object.entries(credentialEndpoints.consumers).flatMap(([name, { roleArn, sessionPolicy }]) => {
    const at = [section, 'consumers', name];
    if (roleArn !== undefined) {
      if (isListed(roleArn, limits.consumerRoles)) return [];
      const path = pathText([...at, 'roleArn']);
      return [{ path, message: 'is not permitted by allow.consumerRoles of the bootstrap config' }];
    }
    if (limits.consumerHostRole) return [];
    const path = pathText([...at, sessionPolicy === undefined ? 'allowHostRole' : 'sessionPolicy']);
    // Whoever writes the policy can write one that allows everything.
    const message =
      "hands out the host's own role, which allow.consumerHostRole of the bootstrap config does not permit";
    return [{ path, message }];
  });
}

interface NamedPort {
  readonly port: number;
  readonly path: string;
}

function portsOf({ credentialEndpoints: { containerPort, consumers } }: Section): NamedPort[] {
  const metadata = Object.entries(consumers).flatMap(([name, { metadataPort }]) =>
    metadataPort === undefined
      ? []
      : [{ port: metadataPort, path: pathText([section, 'consumers', name, 'metadataPort']) }],
  );
  if (containerPort === undefined) return metadata;
  return [{ port: containerPort, path: pathText([section, 'containerPort']) }, ...metadata];
}

function portsArePermitted(gateway: Section, { listenPorts }: ConsumerLimits): Problem[] {
  return portsOf(gateway)
    .filter(({ port }) => !listenPorts.includes(port))
    .map(({ path }) => ({ path, message: 'is not among allow.listenPorts of the bootstrap config' }));
}

function portsAreNamedOnce(gateway: Section): Problem[] {
  const ports = portsOf(gateway);
  return ports.flatMap(({ port, path }, index) => {
    const first = ports.findIndex((other) => other.port === port);
    if (first === index || port === 0) return [];
    return [{ path, message: `is the port of ${ports[first]?.path ?? ''} already` }];
  });
}
