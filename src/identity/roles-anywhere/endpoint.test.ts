import { expect, test } from 'vitest';
import { rolesAnywhereEndpoint } from './endpoint.ts';
import { placeOf } from './session-request.ts';

/** Where AWS's pages and its endpoint rules put the service. */
const addresses = [
  ['aws', 'eu-west-1', '', 'https://rolesanywhere.eu-west-1.amazonaws.com/'],
  ['aws', 'eu-west-1', 'dual stack', 'https://rolesanywhere.eu-west-1.api.aws/'],
  ['aws', 'us-east-1', 'FIPS', 'https://rolesanywhere-fips.us-east-1.amazonaws.com/'],
  ['aws', 'us-east-1', 'FIPS, dual stack', 'https://rolesanywhere-fips.us-east-1.api.aws/'],
  ['aws-us-gov', 'us-gov-west-1', '', 'https://rolesanywhere.us-gov-west-1.amazonaws.com/'],
  ['aws-us-gov', 'us-gov-west-1', 'FIPS', 'https://rolesanywhere-fips.us-gov-west-1.amazonaws.com/'],
  ['aws-us-gov', 'us-gov-west-1', 'dual stack', 'https://rolesanywhere.us-gov-west-1.api.aws/'],
  ['aws-cn', 'cn-north-1', '', 'https://rolesanywhere.cn-north-1.amazonaws.com.cn/'],
  ['aws-cn', 'cn-north-1', 'dual stack', 'https://rolesanywhere.cn-north-1.api.amazonwebservices.com.cn/'],
] as const;

test.each(addresses)('%s, %s %s is at %4$s', (partition, region, how, address) => {
  const anchor = `arn:${partition}:rolesanywhere:${region}:123456789012:trust-anchor/1b5f2a3c`;
  const place = placeOf(anchor, 'trust-anchor');
  const choice = {
    endpoint: undefined,
    useFips: how.includes('FIPS'),
    useDualstack: how.includes('dual stack'),
  };

  expect(place).toEqual({ partition, region });
  expect(rolesAnywhereEndpoint({ partition, region }, choice).href).toBe(address);
});
