import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export type Values = Record<string, string | number>;

/** The only thing that a template may have beside text; internal/scaffold knows the same. */
const placeholder = /\$\{\{ values\.([A-Za-z]+) \| dump \}\}/g;
const tags = ['${{', '}}', '{%', '%}', '{#', '#}'];

/** Replaces each placeholder of a template by its value as JSON, which YAML reads as just that. */
export function fill(template: string, values: Values): string {
  const text = template.replace(placeholder, '');
  const tag = tags.find(each => text.includes(each));
  if (tag) throw new Error(`A template has ${tag}: a placeholder is written \${{ values.NAME | dump }}`);
  return template.replace(placeholder, (found, name: string) => {
    if (!Object.hasOwn(values, name)) throw new Error(`A template has ${found}, but there is no value ${name}`);
    return dump(values[name]);
  });
}

/** JSON as Go writes it: two characters that end lines in JavaScript are escaped. */
function dump(value: string | number): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, c => `\\u${c.charCodeAt(0).toString(16)}`);
}

/** The files of an endpoint, by name. */
export async function render(folder: string, values: Values): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  // A ConfigMap's folder has hidden ones for Kubernetes' own use.
  for (const name of (await readdir(folder)).filter(each => !each.startsWith('.')).sort()) {
    files.set(name, fill(await readFile(join(folder, name), 'utf8'), values));
  }
  if (files.size === 0) throw new Error(`There are no templates of an endpoint in ${folder}`);
  return files;
}
