const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** `0 B`, `1.5 KiB`, `312 MiB`. */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < binaryUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${binaryUnits[unit]}`;
}

/** `1,234,567`. */
export function countText(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(?:\d{3})+$)/gu, ',');
}

const parts = [
  { seconds: 86_400, unit: 'd' },
  { seconds: 3600, unit: 'h' },
  { seconds: 60, unit: 'min' },
  { seconds: 1, unit: 's' },
];

/** The two largest parts: `3 d 4 h`, `5 min 2 s`, `0 s`. */
export function durationText(ms: number): string {
  let left = Math.max(0, Math.round(ms / 1000));
  const told: string[] = [];
  for (const { seconds, unit } of parts) {
    const count = Math.floor(left / seconds);
    left -= count * seconds;
    if (told.length > 0 || count > 0 || unit === 's') told.push(`${count} ${unit}`);
    if (told.length === 2) break;
  }
  return told.join(' ').replace(/ 0 (?:h|min|s)$/u, '');
}
