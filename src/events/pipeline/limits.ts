export interface PipelineLimits {
  /** A batch goes to the spool this long after its first line came, full or not. */
  readonly flushAfterMs: number;
  /** Positions that move without any line to go with go to the spool this long after the first did. */
  readonly keepAfterMs: number;
  /** Of one source, in batches that are not durable yet: with more it is not read on. Each of many streams has one. */
  readonly openBytesMax: number;
  /** Streams that are sent to at the same time under one role. Each has one batch under way, which keeps its order. */
  readonly sendsMax: number;
  /** One try to send, all calls of it together. */
  readonly sendTimeoutMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** Events that wait while nothing ends, well or badly, for so long are wedged. */
  readonly wedgedAfterMs: number;
}

export const pipelineLimits: PipelineLimits = {
  flushAfterMs: 250,
  keepAfterMs: 10_000,
  openBytesMax: 32 * 2 ** 20,
  sendsMax: 8,
  sendTimeoutMs: 60_000,
  backoffBaseMs: 200,
  backoffCapMs: 30_000,
  wedgedAfterMs: 5 * 60_000,
};
