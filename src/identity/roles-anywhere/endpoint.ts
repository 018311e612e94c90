/** What decides at which address AWS is asked. */
export interface EndpointChoice {
  /** Instead of AWS's own address. */
  readonly endpoint: string | undefined;
  readonly useFips: boolean;
  readonly useDualstack: boolean;
}

/** Suffixes of a partition: of the usual endpoints, and of those with IPv6. */
const suffixes: Readonly<Record<string, readonly [usual: string, dualstack: string]>> = {
  aws: ['amazonaws.com', 'api.aws'],
  'aws-us-gov': ['amazonaws.com', 'api.aws'],
  'aws-cn': ['amazonaws.com.cn', 'api.amazonwebservices.com.cn'],
  'aws-eusc': ['amazonaws.eu', 'api.amazonwebservices.eu'],
};

/** The endpoint of Roles Anywhere for a region. https://docs.aws.amazon.com/general/latest/gr/rolesanywhere.html */
export function rolesAnywhereEndpoint(
  { region, partition }: { readonly region: string; readonly partition: string },
  { endpoint, useFips, useDualstack }: EndpointChoice,
): URL {
  if (endpoint !== undefined) return new URL(endpoint);
  const [usual, dualstack] = suffixes[partition] ?? ['amazonaws.com', 'api.aws'];
  const name = useFips ? 'rolesanywhere-fips' : 'rolesanywhere';
  return new URL(`https://${name}.${region}.${useDualstack ? dualstack : usual}`);
}
