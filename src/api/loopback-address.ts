import { isLoopbackAddress } from '../base/local-address.ts';

/** Where a listener is that only this host reaches. */
export interface LoopbackAddress {
  /** An IP address without brackets. */
  readonly address: string;
  /** 0 has the system choose one that is free. */
  readonly port: number;
}

const portMax = 65_535;
const form = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/iu;

/** `127.0.0.1:9464` or `[::1]:9464`; undefined for anything else, a name too: it may resolve to anything. */
export function parseLoopbackAddress(text: string): LoopbackAddress | undefined {
  const [, v6, v4, digits] = form.exec(text) ?? [];
  const address = v6 ?? v4;
  const port = Number(digits);
  return address !== undefined && isLoopbackAddress(address) && port <= portMax
    ? { address, port }
    : undefined;
}

export function loopbackAddressText({ address, port }: LoopbackAddress): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
