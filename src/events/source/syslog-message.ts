/** A syslog message in its parts; those that it does not have are absent. */
export interface SyslogMessage {
  readonly facility?: string;
  readonly severity?: string;
  /** As it was written: RFC 3339, or of RFC 3164 without a year. */
  readonly time?: string;
  readonly host?: string;
  readonly app?: string;
  readonly pid?: string;
  readonly msgid?: string;
  readonly data?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly message: string;
}

const facilities = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;
const severities = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug'] as const;

const priority = /^<(\d{1,3})>/u;
/** RFC 5424, section 6: VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP. */
const header = /^1 (\S{1,48}) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32})(?: |$)/u;
/** RFC 3164, section 4.1: Mmm dd hh:mm:ss, then a host; many senders write RFC 3339 there, and some no host. */
const time = /^(?:[A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2}|\d{4}-\d{2}-\d{2}T\S{8,30}) /u;
const host = /^([A-Za-z0-9._:-]{1,255}) (?=\S)/u;
const tag = /^([^ [:]{1,48})(?:\[([^\]]{1,128})\])?: ?/u;
/** Of UTF-8, as latin1. */
const byteOrderMark = '\xef\xbb\xbf';

/** `text` has one latin1 character a byte. Never fails: what is not syslog is a message without anything else. */
export function parseSyslog(text: string): SyslogMessage {
  const [whole = '', code] = priority.exec(text) ?? [];
  const value = Number(code ?? Number.NaN);
  const isPriority = value < 192;
  const rest = isPriority ? text.slice(whole.length) : text;
  const levels = isPriority
    ? { facility: facilities[value >> 3] ?? '', severity: severities[value & 7] ?? '' }
    : {};
  return { ...levels, ...(isPriority && header.test(rest) ? parse5424(rest) : parse3164(rest)) };
}

function parse5424(text: string): SyslogMessage {
  const [whole = '', at, from, app, pid, msgid] = header.exec(text) ?? [];
  const { data, length } = parseData(text, whole.length);
  const message = text.slice(length).replace(/^ /u, '');
  return {
    ...present({ time: at, host: from, app, pid, msgid }),
    ...(Object.keys(data).length === 0 ? {} : { data }),
    message: message.startsWith(byteOrderMark) ? message.slice(byteOrderMark.length) : message,
  };
}

/** `-` stands for nothing. */
function present(fields: Readonly<Record<string, string | undefined>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) =>
      value === undefined || value === '-' ? [] : [[name, value]],
    ),
  );
}

const elementStart = /\[([^\s=\]"]{1,32})/uy;
const parameter = / ([^\s=\]"]{1,32})="((?:[^"\\\]]|\\.)*)"/uy;

/** Structured data from `from` on: elements in a row, up to what is none. */
function parseData(
  text: string,
  from: number,
): { readonly data: Record<string, Record<string, string>>; readonly length: number } {
  const data: Record<string, Record<string, string>> = Object.create(null);
  if (text.startsWith('-', from)) return { data, length: from + 1 };
  let length = from;
  for (;;) {
    elementStart.lastIndex = length;
    const [start = '', id] = elementStart.exec(text) ?? [];
    if (id === undefined) return { data, length };
    const element: Record<string, string> = Object.create(null);
    let at = length + start.length;
    for (;;) {
      parameter.lastIndex = at;
      const [whole = '', name, value] = parameter.exec(text) ?? [];
      if (name === undefined) break;
      element[name] = (value ?? '').replaceAll(/\\(["\\\]])/gu, '$1');
      at += whole.length;
    }
    if (text[at] !== ']') return { data, length };
    data[id] = element;
    length = at + 1;
  }
}

function parse3164(text: string): SyslogMessage {
  const [stamp = ''] = time.exec(text) ?? [];
  let rest = text.slice(stamp.length);
  const fields: Record<string, string> = {};
  if (stamp !== '') {
    fields['time'] = stamp.trimEnd();
    const [whole = '', name = ''] = host.exec(rest) ?? [];
    if (whole !== '') {
      fields['host'] = name;
      rest = rest.slice(whole.length);
    }
  }
  const [whole = '', app, pid] = tag.exec(rest) ?? [];
  if (app !== undefined) fields['app'] = app;
  if (pid !== undefined) fields['pid'] = pid;
  return { ...fields, message: rest.slice(whole.length) };
}
