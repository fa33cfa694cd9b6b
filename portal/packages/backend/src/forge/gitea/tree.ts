import git, { type TreeEntry } from 'isomorphic-git';
import fs from 'node:fs';

/**
 * Paths of the files below a folder of a commit, sorted. A folder that is a link or
 * not there has none: nothing is ever followed out of the repository.
 */
export async function pathsBelow(dir: string, commit: string, folder: string): Promise<string[]> {
  const entry = await entryAt(dir, commit, folder);
  return entry?.type === 'tree' ? walk(dir, entry.oid, folder) : [];
}

async function walk(dir: string, oid: string, folder: string): Promise<string[]> {
  const { tree } = await git.readTree({ fs, dir, oid });
  const found = await Promise.all(
    tree.map(each => {
      const path = `${folder}/${each.path}`;
      return each.type === 'tree' ? walk(dir, each.oid, path) : [path];
    }),
  );
  return found.flat().sort();
}

async function entryAt(dir: string, commit: string, path: string): Promise<TreeEntry | undefined> {
  let entry: TreeEntry | undefined;
  let oid = commit;
  for (const part of path.split('/')) {
    if (entry && entry.type !== 'tree') return undefined;
    entry = (await git.readTree({ fs, dir, oid })).tree.find(each => each.path === part);
    if (!entry) return undefined;
    oid = entry.oid;
  }
  return entry;
}

/** The text of a file of a commit; undefined if there is no such file. */
export async function textAt(dir: string, commit: string, path: string): Promise<string | undefined> {
  const entry = await entryAt(dir, commit, path);
  if (entry?.type !== 'blob' || isLink(entry)) return undefined;
  const { blob } = await git.readBlob({ fs, dir, oid: entry.oid });
  return Buffer.from(blob).toString('utf8');
}

function isLink(entry: TreeEntry): boolean {
  return entry.mode === '120000';
}

/** The tree of a commit with some files as given by their paths, undefined for one that goes. */
export async function treeWith(
  dir: string,
  commit: string,
  files: Map<string, string | undefined>,
): Promise<string> {
  const oid = await put(dir, commit, files);
  if (!oid) throw new Error('Nothing would be left in the repository');
  return oid;
}

async function put(dir: string, oid: string | undefined, files: Map<string, string | undefined>): Promise<string | undefined> {
  const there = oid ? (await git.readTree({ fs, dir, oid })).tree : [];
  const entries = new Map(there.map(each => [each.path, each]));
  const below = new Map<string, Map<string, string | undefined>>();
  for (const [path, text] of files) {
    const [first, ...rest] = path.split('/');
    if (rest.length > 0) {
      below.set(first, (below.get(first) ?? new Map()).set(rest.join('/'), text));
    } else if (text === undefined) {
      entries.delete(first);
    } else {
      const blob = await git.writeBlob({ fs, dir, blob: Buffer.from(text) });
      entries.set(first, { mode: '100644', path: first, oid: blob, type: 'blob' });
    }
  }
  for (const [path, inside] of below) {
    const entry = entries.get(path);
    if (entry && entry.type !== 'tree') throw new Error(`${path} is no folder in the repository: make it one first`);
    const tree = await put(dir, entry?.oid, inside);
    if (tree) entries.set(path, { mode: '040000', path, oid: tree, type: 'tree' });
    else entries.delete(path);
  }
  return entries.size > 0 ? git.writeTree({ fs, dir, tree: [...entries.values()] }) : undefined;
}
