import { z } from 'zod';
import { overflowPolicies } from '../overflow.ts';

const mebibyte = 2 ** 20;
const spoolModes = ['always', 'when-needed'] as const;

export const spoolConfig = z
  .strictObject({
    bytesMax: z
      .int()
      .min(8 * mebibyte)
      .default(1024 * mebibyte)
      .meta({
        description: 'Most bytes that wait on this host',
        applies: 'restart',
        unit: 'bytes',
        examples: [1073741824],
      }),
    mode: z
      .enum(spoolModes)
      .default('always')
      .meta({
        description:
          'always: what was read is on the disk before its place is remembered. when-needed: events of files and journald are held in memory while they are acknowledged within two seconds, and spooled when they are late or at risk: less CPU, and lines are lost where the agent is killed and their file is gone before it starts again',
        applies: 'restart',
        examples: ['when-needed'],
      }),
    whenFull: z
      .enum(overflowPolicies)
      .default('pause')
      .meta({
        description:
          'What happens at bytesMax: pause (sources wait, files on the disk where they are), drop-oldest or drop-newest (events are lost, counted and audited)',
        applies: 'restart',
        examples: ['pause'],
      }),
    ageMaxDays: z
      .int()
      .min(1)
      .max(14)
      .default(14)
      .meta({
        description:
          'What has waited for longer goes to the dead letter: at 14 days CloudWatch Logs takes nothing of it any more',
        applies: 'restart',
        unit: 'days',
        examples: [14],
      }),
    allowClearSpool: z
      .boolean()
      .default(false)
      .meta({
        description: 'Keep the spool unencrypted (mode 0600) where there is no keys.bindingKey',
        applies: 'restart',
        examples: [false],
      }),
  })
  .prefault({})
  .meta({ description: 'The durable buffer between sources and CloudWatch Logs', applies: 'restart' });

export const deadLetterConfig = z
  .strictObject({
    bytesMax: z
      .int()
      .min(4 * mebibyte)
      .default(16 * mebibyte)
      .meta({
        description: 'Most bytes of refused events that are kept; beyond that the oldest are lost, audited',
        applies: 'restart',
        unit: 'bytes',
        examples: [16777216],
      }),
  })
  .prefault({})
  .meta({ description: 'Events that CloudWatch Logs refused, with the reason', applies: 'restart' });
