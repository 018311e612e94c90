/** PutLogEvents: Σ(UTF-8 bytes of message + 26) of one call. */
export const batchBytesMax = 1_048_576;
export const eventOverheadBytes = 26;
/** The longest message that fits a batch alone. */
export const messageBytesMax = batchBytesMax - eventOverheadBytes;
export const batchEventsMax = 10_000;
/** PutLogEvents: the events of one call span at most 24 hours. */
export const batchSpanMsMax = 24 * 60 * 60 * 1000;
