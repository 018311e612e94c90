import { BlockList, isIPv6 } from 'node:net';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8);
loopback.addAddress('::1', 'ipv6');

const local = new BlockList();
local.addSubnet('127.0.0.0', 8);
local.addAddress('::1', 'ipv6');
local.addSubnet('169.254.0.0', 16);
local.addSubnet('fe80::', 10, 'ipv6');

/** Where EKS (`::23`) and EC2 (`::254`) serve credentials over IPv6: link-local in all but its prefix. */
const metadata = new BlockList();
metadata.addAddress('fd00:ec2::23', 'ipv6');
metadata.addAddress('fd00:ec2::254', 'ipv6');

/**
 * Whether plain http to this host stays on the host or its link: loopback, link-local, `localhost`. No other name, for
 * it may resolve to anything. `hostname` as `URL.hostname` has it, IPv6 in brackets.
 */
export function isLocalAddress(hostname: string): boolean {
  return hostname === 'localhost' || isIn(local, hostname);
}

/** Whether this is an IP address, in brackets or not, that only this host itself reaches. */
export function isLoopbackAddress(hostname: string): boolean {
  return isIn(loopback, hostname);
}

/** As `isLocalAddress`, and the IPv6 addresses at which AWS itself serves credentials to a host. */
export function isMetadataAddress(hostname: string): boolean {
  return isLocalAddress(hostname) || isIn(metadata, hostname);
}

function isIn(list: BlockList, hostname: string): boolean {
  const address = hostname.replace(/^\[(.+)\]$/u, '$1');
  return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}
