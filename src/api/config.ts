import { z } from 'zod';
import { parseLoopbackAddress } from './loopback-address.ts';

/** `monitoring` of the bootstrap config: the operator's, for it opens something to every local user. */
export const monitoringConfig = z
  .strictObject({
    listen: z
      .string()
      .refine(
        (text) => parseLoopbackAddress(text) !== undefined,
        'expected a loopback IP address and a port, such as 127.0.0.1:9464 or [::1]:9464',
      )
      .optional()
      .meta({
        description:
          'Loopback address and port where health and metrics are served over HTTP, to every local user. Without ' +
          'it they are on control.sock alone. Port 0 takes a free one, which log and status tell.',
        applies: 'restart',
        examples: ['127.0.0.1:9464'],
      }),
  })
  .prefault({})
  .meta({ description: 'Who may look at the agent from outside.', applies: 'restart' });
