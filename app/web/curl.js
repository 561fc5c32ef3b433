// The curl command of a request, quoted for a POSIX shell and for curl itself.

const SAFE = /^[A-Za-z0-9_.,:/=@%+-]+$/;

/** Quote a word for a POSIX shell. */
export const quoted = (word) => (SAFE.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** A file of a form. curl(1): a name with `;` `,` or quotes is quoted and escaped. */
function file(name) {
  const plain = /^[A-Za-z0-9_./ \p{L}\p{N}-]+$/u.test(name) && !name.startsWith("-");
  return `image=@${plain ? name : `"${name.replace(/[\\"]/g, "\\$&")}"`}`;
}

/** `-F` reads a file if a value starts with @ or <, and a content type after `;`. */
const option = (value) => (/^[@<]|;/.test(value) ? "--form-string" : "-F");

export function curl(origin, task, fields, names, withKey) {
  const words = ["curl", "-N", `${origin}/v1/${task}`];
  const line = words.map(quoted);
  if (withKey) line.push("-H", '"Authorization: Bearer $API_KEY"');
  for (const name of names) line.push("-F", quoted(file(name)));
  for (const [name, value] of fields) line.push(option(value), quoted(`${name}=${value}`));
  line.push("-F", "stream=true");
  return line.join(" ");
}
