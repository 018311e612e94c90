import { CloudWatchLogsClient, PutLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { getEndpointFromInstructions } from '@smithy/core/endpoints';
import type { Clock } from '../../base/clock.ts';
import { bodyHash } from '../../events/body-hash.ts';
import { type AwsClientOptions, awsClientConfig, renewsExpired } from './aws-client.ts';
import { awsReach } from './aws-reach.ts';
import { type ReadyMadeCall, readyMadeCall } from './ready-made-call.ts';

/** How the events worker reaches CloudWatch Logs. One attempt each: the pipeline tries again, on its own clock. */
export interface LogsCalls {
  /** For groups and streams. */
  readonly client: CloudWatchLogsClient;
  readonly putLogEvents: ReadyMadeCall;
  readonly close: () => void;
}

/** @throws AWS_ENDPOINT_…, AWS_SWITCH_INVALID, AWS_CA_BUNDLE_… */
export function logsCalls(options: AwsClientOptions, clock: Pick<Clock, 'now'>): LogsCalls {
  const config = { ...awsClientConfig('CLOUDWATCH_LOGS', options), maxAttempts: 1 };
  const client = renewsExpired(new CloudWatchLogsClient(config), options);
  const puts = readyMadeCall({
    ...options,
    ...awsReach('CLOUDWATCH_LOGS', options.env),
    // Its rules know every region, and what ~/.aws/config says.
    endpoint: async () => (await getEndpointFromInstructions({}, PutLogEventsCommand, client.config)).url,
    serviceId: client.config.serviceId,
    signingName: 'logs',
    target: 'Logs_20140328.PutLogEvents',
    hashOf: bodyHash,
    clock,
  });
  return {
    client,
    putLogEvents: puts.call,
    close() {
      client.destroy();
      puts.close();
    },
  };
}
