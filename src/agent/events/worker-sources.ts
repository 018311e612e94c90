import { systemClock } from '../../base/clock.ts';
import type { Log } from '../../base/log-events.ts';
import { headsStream } from '../../events/audit/chain.ts';
import { type ChainedSource, chainedSource } from '../../events/audit/chained-source.ts';
import { headsSource } from '../../events/audit/heads-source.ts';
import type { EventsSettings } from '../../events/channel.ts';
import type { EventSource } from '../../events/event-source.ts';
import type { PipelineSource } from '../../events/pipeline/source.ts';
import type { RedactionStage } from '../../events/redaction/redactor.ts';
import { type AuditSource, auditSource } from '../../events/source/audit.ts';
import { type OutputSource, outputSource } from '../../events/source/output.ts';
import type { AuditShareOptions } from '../../events/spool/audit-share.ts';
import type { Spool } from '../../events/spool.ts';
import type { EventsStatus, PipelineStatus } from '../../events/status.ts';
import { streamFields, streamNames } from '../../events/stream-names.ts';
import { eventSource } from './event-sources.ts';

export interface WorkerSourcesOptions {
  readonly settings: EventsSettings;
  readonly spool: Pick<Spool, 'position'>;
  /** Makes of a source of other programs' lines one that may be shipped. */
  readonly shipped: (name: string, source: EventSource, stage: RedactionStage) => EventSource;
  /** Takes the host's secrets out of what a program says beside its lines; absent where they are not looked for. */
  readonly redacted: ((source: string, said: Buffer) => Buffer) | undefined;
  /** So many bytes of a command's output were taken. */
  readonly onOutputTaken: (bytes: number) => void;
  readonly log: Log;
}

/** The sources of the config, and of those of audit what feeds and what follows them. */
export function workerSources(options: WorkerSourcesOptions) {
  const { settings, spool, shipped, redacted, onOutputTaken, log } = options;
  const { config, readFrom, name, hostId, hostname, region, accountId, instanceId } = settings;
  const values = {
    name,
    hostId,
    hostname,
    region,
    ...(accountId === undefined ? {} : { accountId }),
    ...(instanceId === undefined ? {} : { instanceId }),
  };
  const audits: AuditSource[] = [];
  const chains: ChainedSource[] = [];
  const clock = systemClock;
  const sources: PipelineSource[] = [];
  const outputs: OutputSource[] = [];
  for (const [source, own] of Object.entries(config.sources)) {
    const streamOf = streamNames(source, config, values, log);
    const fields = streamFields(source, config);
    const lines = eventSource(source, own, (plain, stage) => shipped(source, plain, stage), {
      hostId,
      fields,
      output() {
        const output = outputSource({ clock, onTaken: onOutputTaken });
        outputs.push(output);
        return output;
      },
      readFrom,
      redacted: redacted && ((said) => redacted(source, said)),
      clock,
      log,
    });
    if (lines !== undefined) {
      // What HTTP answered for is in the spool: nothing of it is dropped, its callers are told to wait.
      const isSpared = own.http !== undefined;
      const canBeReadAgain = own.files !== undefined || own.journald !== undefined;
      const isSpread = fields.length > 0;
      const embeddedMetrics = own.embeddedMetrics === true;
      const how = { canBeReadAgain, isSpread, isSpared, embeddedMetrics };
      sources.push({ name: source, source: lines, streamOf, ...how });
      continue;
    }
    const audit = auditSource({ name: source, clock, log });
    const from = spool.position(source);
    const chain = chainedSource({ name: source, source: audit, host: { hostId, name }, from, clock, log });
    audits.push(audit);
    chains.push(chain);
    const heads = headsSource({ chain, hostId, clock });
    const stream = streamOf(undefined);
    const headsTo = { ...stream, logStream: headsStream(stream.logStream) };
    sources.push(
      { name: source, source: chain, streamOf, isSpared: true },
      { name: headsOf(source), source: heads, streamOf: () => headsTo, isSpared: true },
    );
  }
  return { sources, audits, chains, outputs };
}

/** Sources of audit, their heads included, are known by these names; none of them can be another source's. */
function headsOf(source: string): string {
  return `.heads.${source}`;
}

export function auditShareOf(chains: readonly ChainedSource[], log: Log): AuditShareOptions {
  const names = new Set(chains.flatMap(({ name }) => [name, headsOf(name)]));
  return {
    isAudit: (positions) => positions.some(({ source }) => names.has(source)),
    onDurable: (positions) => {
      for (const chain of chains) chain.durable(positions);
    },
    log,
  };
}

/** The sources are those of the config: heads are a part of their chain. */
export function withAudit(status: PipelineStatus, chains: readonly ChainedSource[]): EventsStatus {
  if (chains.length === 0) return status;
  const heads = new Set(chains.map(({ name }) => headsOf(name)));
  const sources = status.sources.filter(({ name }) => !heads.has(name));
  return { ...status, sources, audit: chains.map((chain) => chain.status()) };
}
