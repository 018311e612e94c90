/**
 * A text as the writers of JSON write it, without the quotes around it; some of them may be equal. They differ in what
 * they escape beside quotes, backslashes and control characters, and in the case of the digits of an escape.
 */
export function jsonForms(text: string): string[] {
  const plain = inJson(text);
  const lines = escaped(plain, /[\u2028\u2029]/g);
  const ascii = escaped(plain, /[\u0080-\uffff]/g);
  const forms = [
    plain,
    lines,
    ascii,
    // Python
    escaped(plain, /[\u007f-\uffff]/g),
    // Go and Rails, for HTML
    escaped(lines, /[&<>]/g),
    // Gson
    escaped(lines, /[&<>='\u007f]/g),
    escaped(lines, /[&<>=']/g),
    // PHP
    lines.replaceAll('/', '\\/'),
    ascii.replaceAll('/', '\\/'),
    // .NET, which writes quotes so as well, and when it is told to be relaxed
    escaped(text.split('"').map(inJson).join(String.raw`\u0022`), /[&'+<>`\u007f-\uffff]/g),
    escaped(lines, /[\u007f-\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ud800-\uf8ff]/g),
  ];
  return [...forms, ...forms.map(upperDigits), ...[plain, ascii].map(inJson)];
}

/** Of a form, it is the form of a line of JSON that was put into JSON as text: a container runtime does so. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

function escaped(json: string, units: RegExp): string {
  return json.replaceAll(units, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Jackson and .NET: `\u00E9`. */
function upperDigits(json: string): string {
  return json.replaceAll(/\\u[0-9a-f]{4}/gu, (escape) => `\\u${escape.slice(2).toUpperCase()}`);
}
