import { type LogEventTable, logEventsOf } from '../base/log-events.ts';

/** Of a stream. */
const roleOf = 'the source whose role sends it, where it has one of its own';

export const eventsLogEvents = {
  'events.started': {
    level: 'info',
    summary: 'events are being shipped',
    fields: {
      sources: 'how many sources',
      spooledBatches: 'batches left from before',
      spooledBytes: 'their bytes',
    },
  },
  'events.stopped': {
    level: 'info',
    summary: 'shipping of events ended',
    fields: { spooledBatches: 'batches that stay in the spool', spooledBytes: 'their bytes' },
  },
  'events.name-replaced': {
    level: 'warn',
    summary:
      'a log group or stream name had characters that CloudWatch Logs forbids, or a value not known here; they became -',
    fields: { kind: 'logGroup or logStream', name: 'the name as used', source: 'the source' },
  },
  'events.streams-too-many': {
    level: 'warn',
    summary:
      'events name more log streams than may be, or the stream of an audit; these go where events without the field go',
    fields: {
      source: 'the source',
      name: 'the first stream that is not made',
      streams: 'streams that events have named since the start',
    },
  },
  'events.file-opened': {
    level: 'info',
    summary: 'a file is being read',
    fields: { source: 'the source', path: 'the file', offset: 'where reading starts, in bytes' },
  },
  'events.file-finished': {
    level: 'info',
    summary: 'a rotated file was read to its end and let go',
    fields: { source: 'the source', path: 'the file', bytes: 'its length in bytes' },
  },
  'events.file-restarted': {
    level: 'warn',
    summary: 'a file was truncated or replaced in place and is read from its start',
    fields: { source: 'the source', path: 'the file', offset: 'how far it had been read, in bytes' },
  },
  'events.hole-skipped': {
    level: 'info',
    summary: 'a file has a stretch of NUL bytes that nothing was written to; reading goes on after it',
    fields: {
      source: 'the source',
      path: 'the file',
      offset: 'where the stretch starts, in bytes',
      bytes: 'its length',
    },
  },
  'events.file-vanished': {
    level: 'warn',
    summary: 'a file that had been read is gone; whether its end was read is not known',
    fields: { source: 'the source', path: 'the file', offset: 'how far it had been read, in bytes' },
  },
  'events.file-refused': {
    level: 'warn',
    summary: 'a path that matches a source is not read',
    fields: { source: 'the source', path: 'the path', reason: 'why: a name or an errno' },
  },
  'events.refusals-unsaid': {
    level: 'warn',
    summary: 'so many paths are not read that no more of them are named',
    fields: { source: 'the source', paths: 'how many were named' },
  },
  'events.entries-too-many': {
    level: 'warn',
    summary: 'a glob has more to look at than is looked at; the rest is not read',
    fields: { source: 'the source', pattern: 'the glob', filesMax: 'the bound' },
  },
  'events.archive-damaged': {
    level: 'warn',
    summary: 'a compressed file is damaged, or was never finished; what follows the damage is not read',
    fields: { source: 'the source', path: 'the file', reason: 'what zlib says' },
  },
  'events.find-failed': {
    level: 'warn',
    summary: 'files could not be looked for; it is tried again',
    fields: { source: 'the source', reason: 'errno' },
  },
  'events.file-read-failed': {
    level: 'warn',
    summary: 'a file could not be read; it is tried again',
    fields: { source: 'the source', path: 'the file', reason: 'errno' },
  },
  'events.files-too-many': {
    level: 'warn',
    summary: 'more files are being read than may be open; the rest wait',
    fields: { source: 'the source', openFilesMax: 'the bound', waiting: 'how many wait' },
  },
  'events.watch-failed': {
    level: 'info',
    summary: 'a directory cannot be watched; its files are looked at from time to time instead',
    fields: { source: 'the source', path: 'the directory', reason: 'errno' },
  },
  'events.text-escaped': {
    level: 'warn',
    summary: 'lines that are not UTF-8 had their wrong bytes escaped, so that a reader can get them back',
    fields: { source: 'the source', lines: 'how many lines so far' },
  },
  'events.time-unusable': {
    level: 'warn',
    summary:
      'events have a time that CloudWatch Logs does not take, older than 14 days or ahead of now; they are shipped with the time they were read',
    fields: { source: 'the source', events: 'how many since it was last said' },
  },
  'events.line-split': {
    level: 'warn',
    summary:
      'lines longer than one event can be were split into several events, marked so that they can be joined',
    fields: { source: 'the source', events: 'how many such pieces so far' },
  },
  'events.pattern-redacted': {
    level: 'warn',
    summary: 'a source had something that a pattern of the config describes, and it was not shipped',
    fields: {
      source: 'the source',
      pattern: 'name of the pattern in events.redaction.patterns',
      times: 'how often since it was last said',
    },
    audit: 'failure',
  },
  'events.secret-redacted': {
    level: 'error',
    summary: 'a program writes a secret of this host into its log; it was redacted',
    fields: {
      source: 'the source',
      secret: 'the name of the secret',
      times: 'how often since it was last said, which is once a minute at most',
    },
    audit: 'failure',
  },
  'events.secret-not-redacted': {
    level: 'warn',
    summary: 'a secret is not looked for in logs: its value would be found where it is not meant',
    fields: { secret: 'the name of the secret', reason: 'too-short, too-common or too-long' },
  },
  'events.listening': {
    level: 'info',
    summary: 'a source listens',
    fields: { source: 'the source', address: 'where' },
  },
  'events.listen-failed': {
    level: 'warn',
    summary: 'a source cannot listen at its address; it is tried again',
    fields: { source: 'the source', address: 'where', reason: 'errno' },
  },
  'events.accept-failed': {
    level: 'error',
    summary: 'a source that listens met an error, such as no room for a connection; it goes on listening',
    fields: { source: 'the source', address: 'where', reason: 'errno' },
  },
  'events.accept-recovered': {
    level: 'info',
    summary: 'connections to a source are accepted again',
    fields: { source: 'the source', address: 'where' },
  },
  'events.certificate-changed': {
    level: 'info',
    summary: 'a source that listens has another certificate',
    fields: { source: 'the source', path: 'the certificate' },
  },
  'events.certificate-failed': {
    level: 'error',
    summary:
      'a certificate, or its key, changed and cannot be used; the one before stays in use, and it is tried again',
    fields: { source: 'the source', path: 'the certificate', reason: 'errno, or what OpenSSL says' },
  },
  'events.connections-refused': {
    level: 'error',
    summary:
      'a source that listens has as many connections as it may; others were closed, and what was sent by them is lost unless its sender notices',
    fields: {
      source: 'the source',
      address: 'where',
      connections: 'how many since it was last said, which is once a minute at most',
      connectionsMax: 'the bound',
    },
  },
  'events.peer-refused': {
    level: 'warn',
    summary: 'a peer of a source was sent away',
    fields: {
      source: 'the source',
      reason:
        'frame-too-long, too-much-unfinished (messages that are not whole, of all peers together), or what TLS says',
      peers: 'how many for this reason since it was last said, which is once a minute at most',
    },
  },
  'events.messages-lost': {
    level: 'error',
    summary: 'a connection ended while messages that had come by it were held: they are lost',
    fields: {
      source: 'the source',
      reason: 'idle, stopping, or errno of the connection',
      messages: 'how many are known, an unfinished one among them; there may be more that had not been read',
    },
  },
  'events.datagrams-dropped': {
    level: 'error',
    summary: 'datagrams were lost: there was no room for them, here or in the kernel',
    fields: { source: 'the source', datagrams: 'how many since it was last said' },
  },
  'events.stdin-ended': {
    level: 'info',
    summary: 'standard input is at its end',
    fields: { source: 'the source' },
  },
  'events.journal-failed': {
    level: 'warn',
    summary: 'the journal could not be read; it is tried again',
    fields: {
      source: 'the source',
      reason: 'what failed',
      said: 'the last line that journalctl wrote to its standard error, where secrets are taken out of what is shipped',
    },
  },
  'events.journal-recovered': {
    level: 'info',
    summary: 'the journal can be read again',
    fields: { source: 'the source' },
  },
  'events.entry-skipped': {
    level: 'error',
    summary: 'an entry of the journal was too long to be held and is not shipped',
    fields: { source: 'the source', bytesMax: 'the bound' },
  },
  'events.audit-chain-began': {
    level: 'info',
    summary: 'a new chain of audit records begins; expected once in the life of a state directory',
    fields: { source: 'the source', chain: 'id of the chain' },
  },
  'events.audit-full': {
    level: 'error',
    summary: 'the queue before the spool is full: audit records are being lost',
    fields: { source: 'the source' },
  },
  'events.audit-dropped': {
    level: 'error',
    summary: 'audit records were lost because the queue before the spool was full',
    fields: { source: 'the source', records: 'how many since it was last said' },
  },
  'events.dropped': {
    level: 'error',
    summary: 'the spool is full, and events were lost as events.spool.whenFull says',
    fields: {
      policy: 'drop-oldest or drop-newest',
      events: 'how many since it was last said',
      bytes: 'their bytes, as CloudWatch Logs counts them',
    },
    audit: 'failure',
  },
  'events.outdated': {
    level: 'error',
    summary: 'events waited for longer than events.spool.ageMaxDays; they are in the dead letter, not sent',
    fields: {
      events: 'how many',
      bytes: 'their bytes, as CloudWatch Logs counts them',
      ageMaxDays: 'the bound',
    },
    audit: 'failure',
  },
  'events.spool-full': {
    level: 'warn',
    summary: 'the spool is full; sources pause',
    fields: { bytes: 'bytes in the spool', bytesMax: 'its bound' },
  },
  'events.spool-relieved': {
    level: 'info',
    summary: 'the spool has room again; sources go on',
    fields: { bytes: 'bytes in the spool' },
  },
  'events.spool-failed': {
    level: 'error',
    summary: 'the spool could not be written or read; it is tried again, and sources pause meanwhile',
    fields: { error: 'what failed' },
  },
  'events.spool-cut': {
    level: 'info',
    summary: 'the end of the spool was being written when the agent or the machine stopped; it is read anew',
    fields: { segment: 'the segment', bytes: 'bytes that are passed over' },
  },
  'events.spool-damaged': {
    level: 'error',
    summary: 'a part of the spool does not read; the rest is shipped',
    fields: {
      folder: 'spool or dead-letter',
      kind: 'gap: bytes of a segment; missing or unreadable: a whole one',
      segment: 'the segment',
      from: 'of a gap: where it begins in the segment, in bytes',
      to: 'of a gap: where it ends',
      records: 'of a missing segment: how many batches or letters it held',
      quarantined: 'files in the quarantine folder with what is left of it',
    },
    audit: 'failure',
  },
  'events.batches-lost': {
    level: 'error',
    summary: 'batches that had been kept cannot be read, and will not arrive',
    fields: {
      reason: 'damaged, unreadable, segment-missing or key-lost',
      batches: 'how many',
      events: 'their events',
      bytes: 'bytes of the events, as CloudWatch Logs counts them',
      streams: 'group:stream of the first of them',
      quarantined: 'files in the quarantine folder with what is left of them',
    },
    audit: 'failure',
  },
  'events.positions-lost': {
    level: 'error',
    summary:
      'how far sources had been read is not known any more: they begin again from what is known, and events may arrive twice',
    fields: { segment: 'the segment' },
    audit: 'failure',
  },
  'events.key-lost': {
    level: 'error',
    summary:
      'the data key that sealed the spool does not open: batches under it are lost unless its file is mended',
    fields: { keyId: 'the id of the data key', error: 'what failed' },
    audit: 'failure',
  },
  'events.spool-migrated': {
    level: 'info',
    summary: 'the spool of an older version was taken over',
    fields: { batches: 'batches that wait', deadLetters: 'refused events' },
  },
  'events.key-rotated': {
    level: 'info',
    summary: 'the spool is sealed under a new data key',
    fields: { keyId: 'the id of the data key' },
    audit: 'success',
  },
  'events.key-rotation-failed': {
    level: 'warn',
    summary: 'no new data key could be had; the spool is sealed under the old one, and it is tried again',
    fields: { error: 'what failed' },
  },
  'events.wedged': {
    level: 'error',
    summary: 'events wait and nothing moves, though no error says why; the watchdog is not answered any more',
    fields: { forMs: 'for how long, in milliseconds' },
    audit: 'failure',
  },
  'events.unwedged': { level: 'info', summary: 'events move again', fields: {} },
  'events.spool-recovered': { level: 'info', summary: 'the spool works again', fields: {} },
  'events.send-failed': {
    level: 'warn',
    summary: 'sending failed; the batch stays in the spool and is tried again',
    fields: { logGroup: 'the group', logStream: 'the stream', roleOf, error: 'what failed' },
  },
  'events.send-recovered': {
    level: 'info',
    summary: 'sending works again',
    fields: { logGroup: 'the group', logStream: 'the stream', roleOf, failures: 'attempts that failed' },
  },
  'events.refused': {
    level: 'error',
    summary: 'CloudWatch Logs refused events; they are in the dead letter with their reason',
    fields: {
      logGroup: 'the group',
      logStream: 'the stream',
      roleOf,
      events: 'how many',
      reasons: 'too-old, too-new, expired or invalid',
    },
  },
  'events.dead-letter-full': {
    level: 'error',
    summary: 'the dead letter is full; its oldest events were lost',
    fields: { events: 'how many were lost since it was last said', bytesMax: 'the bound' },
    audit: 'failure',
  },
  'events.dead-letter-shown': {
    level: 'info',
    summary: 'an event of the dead letter was shown to an operator',
    fields: { logGroup: 'the group', logStream: 'the stream', id: 'the number of the event' },
    audit: 'success',
  },
  'events.dead-letter-retried': {
    level: 'info',
    summary: 'events of the dead letter are sent again',
    fields: { events: 'how many' },
    audit: 'success',
  },
  'events.dead-letter-dropped': {
    level: 'info',
    summary: 'events of the dead letter were dropped by an operator',
    fields: { events: 'how many' },
    audit: 'success',
  },
  'events.group-created': {
    level: 'info',
    summary: 'a log group was created',
    fields: {
      logGroup: 'the group',
      retentionDays: 'how long it keeps events',
      awsRequestId: 'id of the call at AWS, as CloudTrail has it',
    },
    audit: 'success',
  },
  'events.stream-created': {
    level: 'debug',
    summary: 'a log stream was created',
    fields: { logGroup: 'the group', logStream: 'the stream' },
  },
  'events.retention-failed': {
    level: 'warn',
    summary: 'the retention of a log group could not be set; it is tried again',
    fields: { logGroup: 'the group', retentionDays: 'the wish', error: 'what failed' },
  },
} as const satisfies LogEventTable;

export const eventsEvent = logEventsOf(eventsLogEvents);
