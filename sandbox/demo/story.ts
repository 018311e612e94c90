/** Tells a story in numbered steps: coloured on a terminal, plain in a pipe. */
export interface Story {
  step(title: string): void;
  /** A line of explanation. */
  say(text: string): void;
  /** Output of a program or file, as it is. */
  show(text: string): void;
  /** A thing that was verified. Remembers when one was not. */
  check(holds: boolean, text: string): void;
  /** What was checked and did not hold. */
  readonly failures: readonly string[];
}

const styles = { bold: 1, dim: 2, red: 31, green: 32, cyan: 36 } as const;

export function createStory(write: (text: string) => void, colour: boolean): Story {
  const styled = (style: keyof typeof styles, text: string): string =>
    colour ? `\u001b[${styles[style]}m${text}\u001b[0m` : text;
  const failures: string[] = [];
  let steps = 0;

  return {
    step(title) {
      steps += 1;
      write(`\n${styled('cyan', `${steps}.`)} ${styled('bold', title)}\n`);
    },
    say: (text) => write(`   ${text}\n`),
    show(text) {
      for (const line of text.trimEnd().split('\n')) write(`   ${styled('dim', '│')} ${line}\n`);
    },
    check(holds, text) {
      if (!holds) failures.push(text);
      write(`   ${holds ? styled('green', '✓') : styled('red', '✗')} ${text}\n`);
    },
    failures,
  };
}
