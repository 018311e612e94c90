import { apiEvent } from '../../api/log-events.ts';
import {
  type LoopbackAddress,
  loopbackAddressText,
  parseLoopbackAddress,
} from '../../api/loopback-address.ts';
import type { LoopbackServer } from '../../api/loopback-server.ts';
import type { Route } from '../../api/route.ts';
import type { Clock } from '../../base/clock.ts';
import { asGatehouseError, reportOf } from '../../base/errors.ts';
import type { Log } from '../../base/log-events.ts';

/** What `status` says of the listener. */
export interface MonitoringStatus {
  /** Where it listens, with the port that was chosen; absent while it does not. */
  readonly address?: string;
  /** The code of why it does not. */
  readonly failing?: string;
}

/** Health and metrics over HTTP, where the bootstrap config says so. */
export interface MonitoringListener {
  /** Tries to listen. What fails is said and never thrown: anybody on this host can take a port, and stop no start. */
  open(): Promise<void>;
  /** Tries again from time to time until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  status(): MonitoringStatus;
  close(): Promise<void>;
}

export interface MonitoringListenerParts {
  readonly listen: (address: LoopbackAddress, routes: readonly Route[]) => Promise<LoopbackServer>;
  readonly routes: readonly Route[];
  readonly clock: Clock;
  readonly log: Log;
}

const retryEveryMs = 10_000;

/** `wanted` as `monitoring.listen` has it, which its schema has checked. */
export function monitoringListener(wanted: string, parts: MonitoringListenerParts): MonitoringListener {
  const { listen, routes, clock, log } = parts;
  const address = addressOf(wanted);
  let server: LoopbackServer | undefined;
  let failing: string | undefined;
  let isClosed = false;

  async function open(): Promise<void> {
    if (server !== undefined || isClosed) return;
    try {
      server = await listen(address, routes);
      failing = undefined;
      log(apiEvent('api.listening', { address: loopbackAddressText(server.address) }));
    } catch (error) {
      if (failing === undefined)
        log(apiEvent('api.listen-failed', { address: wanted, error: reportOf(error) }));
      failing = asGatehouseError(error).code;
    }
  }

  return {
    open,
    async run(signal) {
      for (;;) {
        await clock.sleep(retryEveryMs, signal);
        await open();
      }
    },
    status: () => ({
      ...(server === undefined ? {} : { address: loopbackAddressText(server.address) }),
      ...(failing === undefined ? {} : { failing }),
    }),
    async close() {
      isClosed = true;
      await server?.close();
    },
  };
}

function addressOf(wanted: string): LoopbackAddress {
  const address = parseLoopbackAddress(wanted);
  if (address === undefined) throw new TypeError('the schema let an address pass that is none');
  return address;
}
