import * as fc from 'fast-check';

/** Positions of files as they are kept, and as they never were: any of their members may be missing or be anything. */
export function fileRecordText(): fc.Arbitrary<string> {
  const count = fc.oneof(fc.nat(), fc.constantFrom(-1, 0.5, null, 'x'));
  const fingerprint = fc.record(
    { headBytes: count, head: fc.string(), tailBytes: count, tail: fc.string() },
    { requiredKeys: [] },
  );
  return fc
    .record(
      {
        path: fc.string(),
        offset: count,
        bornMs: count,
        writtenMs: count,
        fingerprint,
        archive: fc.oneof(fc.record({ isDone: fc.boolean() }), fc.jsonValue()),
        longLine: fc.oneof(fc.record({ start: count, parts: count }), fc.jsonValue()),
        restarts: count,
      },
      { requiredKeys: ['path', 'offset', 'fingerprint'] },
    )
    .map((record) => JSON.stringify(record));
}
