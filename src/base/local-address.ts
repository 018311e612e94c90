import { BlockList } from 'node:net';

/** Addresses and prefixes of one kind, made into a list at the first question: most processes never ask. */
function addresses(...ranges: readonly string[]): () => BlockList {
  let list: BlockList | undefined;
  return () => {
    if (list !== undefined) return list;
    list = new BlockList();
    for (const range of ranges) {
      const [address = '', bits] = range.split('/');
      if (bits === undefined) list.addAddress(address, familyOf(address));
      else list.addSubnet(address, Number(bits), familyOf(address));
    }
    return list;
  };
}

/** Not `isIPv6`: its regular expression takes 3 ms at the first use, and who has a colon is no name and no IPv4. */
function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

const loopback = addresses('127.0.0.0/8', '::1');
const local = addresses('127.0.0.0/8', '::1', '169.254.0.0/16', 'fe80::/10');

/** Where EKS (`::23`) and EC2 (`::254`) serve credentials over IPv6: link-local in all but its prefix. */
const metadata = addresses('fd00:ec2::23', 'fd00:ec2::254');

/**
 * Whether plain http to this host stays on the host or its link: loopback, link-local, `localhost`. No other name, for
 * it may resolve to anything. `hostname` as `URL.hostname` has it, IPv6 in brackets.
 */
export function isLocalAddress(hostname: string): boolean {
  // The two that there are nearly always, without a list.
  return hostname === 'localhost' || hostname === '127.0.0.1' || isIn(local, hostname);
}

/** Whether this is an IP address, in brackets or not, that only this host itself reaches. */
export function isLoopbackAddress(hostname: string): boolean {
  return isIn(loopback, hostname);
}

/** As `isLocalAddress`, and the IPv6 addresses at which AWS itself serves credentials to a host. */
export function isMetadataAddress(hostname: string): boolean {
  return isLocalAddress(hostname) || isIn(metadata, hostname);
}

function isIn(list: () => BlockList, hostname: string): boolean {
  const address = hostname.replace(/^\[(.+)\]$/u, '$1');
  return list().check(address, familyOf(address));
}
