import { expect, test } from 'vitest';
import { joiningOf, type Preset } from './multiline.ts';

function joined(preset: Preset, text: string): string[] {
  const joins = joiningOf({ preset })();
  const events: string[] = [];
  for (const line of text.split('\n')) {
    if (joins(line) && events.length > 0) events.push(`${events.pop()}\n${line}`);
    else events.push(line);
  }
  return events;
}

const traces: Readonly<Record<Preset, readonly string[]>> = {
  java: [
    '2026-11-26 10:00:00 INFO starting',
    `2026-11-26 10:00:01 ERROR request failed
java.lang.IllegalStateException: it broke
	at com.example.Service.run(Service.java:42)
	at com.example.Main.main(Main.java:7)
	Suppressed: java.io.IOException: closed
		at com.example.Service.close(Service.java:50)
Caused by: java.lang.NullPointerException
	at com.example.Dao.read(Dao.java:12)
	... 2 more`,
    '2026-11-26 10:00:02 INFO Exception handling is configured',
  ],
  python: [
    'INFO:root:starting',
    `Traceback (most recent call last):
  File "app.py", line 3, in <module>
    run()
  File "app.py", line 2, in run
    1 / 0
ZeroDivisionError: division by zero

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "app.py", line 5, in <module>
    raise ValueError("x")
ValueError: x`,
    'INFO:root:going on',
    'INFO:root:  and on',
  ],
  go: [
    '2026/11/26 10:00:00 starting',
    `panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.run(...)
	/app/main.go:12
main.main()
	/app/main.go:8 +0x1d
exit status 2`,
    '2026/11/26 10:00:01 starting',
  ],
  node: [
    'listening on 8080',
    `Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
    at async run (file:///app/main.js:3:1) {
  errno: -111,
  code: 'ECONNREFUSED',
  [cause]: undefined
}`,
    'retrying',
  ],
};

test.each(Object.entries(traces))(
  '%s: a trace is one event, and what is around it others',
  (preset, events) => {
    expect(joined(preset as Preset, events.join('\n'))).toEqual(events);
  },
);

test.each(Object.keys(traces))('%s: no line takes longer than it is long', (preset) => {
  const joins = joiningOf({ preset: preset as Preset })();
  // Of such a length that the square of it is hours, which no test is given.
  const length = 4_000_000;
  const lines = ['a.', ' ', '\t', 'w', '.a(]', '.', 'a.('].map((text) => text.repeat(length / text.length));

  for (const line of ['panic: x', 'Traceback (most recent call last):', ...lines, `${'w'.repeat(length)}(`]) {
    expect(joins(line)).toBeTypeOf('boolean');
  }
});

test('patterns of an operator say where an event begins, goes on or ends', () => {
  expect(joinedBy({ start: (line) => line.startsWith('>') }, ['>a', 'b', '>c'])).toEqual([
    false,
    true,
    false,
  ]);
  expect(joinedBy({ continuation: (line) => line.startsWith(' ') }, ['a', ' b', 'c'])).toEqual([
    false,
    true,
    false,
  ]);
  expect(joinedBy({ end: (line) => line.endsWith(';') }, ['a', 'b;', 'c'])).toEqual([false, true, false]);
});

function joinedBy(rule: Parameters<typeof joiningOf>[0], lines: readonly string[]): boolean[] {
  const joins = joiningOf(rule)();
  return lines.map((line) => joins(line));
}

test('an event after a trace of Python is none of its, nor is the next trace one of that', () => {
  const joins = joiningOf({ preset: 'python' })();
  const trace = ['Traceback (most recent call last):', '  File "a.py", line 1', 'ValueError: x'];

  expect([...trace, 'a line', ...trace, 'a line', ''].map((line) => joins(line))).toEqual([
    false,
    true,
    true,
    false,
    false,
    true,
    true,
    false,
    false,
  ]);
});
