const plainKey = /^[\w$-]{1,64}$/u;
const shownCharactersMax = 64;

/** A path as the reader would write it: `events.sources.app.files[0]`. Keys are bounded and hold nothing invisible. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = String(key);
    if (!plainKey.test(name)) return `${text}["${shownKey(name)}"]`;
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

function shownKey(key: string): string {
  const visible = key.slice(0, shownCharactersMax).replaceAll(/[^\w !#$%&'()*+,./:;<=>?@[\]^{|}~-]/gu, '?');
  return key.length > shownCharactersMax ? `${visible}…` : visible;
}
