import git from 'isomorphic-git';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathsBelow, textAt, treeWith } from './tree.ts';

let dir: string;
let head: string;
const author = { name: 'ann', email: 'ann@forge.invalid' };

before(async () => {
  dir = fs.mkdtempSync(join(tmpdir(), 'tree-'));
  await git.init({ fs, dir, defaultBranch: 'main' });
  const link = await git.writeBlob({ fs, dir, blob: Buffer.from('/etc') });
  const readme = await git.writeBlob({ fs, dir, blob: Buffer.from('hello') });
  const apps = await git.writeTree({ fs, dir, tree: [{ mode: '120000', path: 'link', oid: link, type: 'blob' }] });
  const tree = await git.writeTree({
    fs,
    dir,
    tree: [
      { mode: '040000', path: 'apps', oid: apps, type: 'tree' },
      { mode: '100644', path: 'README.md', oid: readme, type: 'blob' },
    ],
  });
  const first = await git.commit({ fs, dir, tree, message: 'first', author });
  const more = await treeWith(dir, first, new Map([['apps/b/deep/x.yaml', '1'], ['apps/b/a.yaml', '2'], ['apps/a/a.yaml', '3']]));
  head = await git.commit({ fs, dir, tree: more, parent: [first], message: 'more', author });
});

after(() => fs.rmSync(dir, { recursive: true }));

test('a change leaves everything else as it was', async () => {
  assert.deepEqual(await pathsBelow(dir, head, 'apps'), ['apps/a/a.yaml', 'apps/b/a.yaml', 'apps/b/deep/x.yaml', 'apps/link']);
  assert.equal(await textAt(dir, head, 'README.md'), 'hello');
  assert.equal(await textAt(dir, head, 'apps/b/deep/x.yaml'), '1');
});

test('a folder whose files all go is gone, and nothing else', async () => {
  const tree = await treeWith(dir, head, new Map((await pathsBelow(dir, head, 'apps/b')).map(path => [path, undefined])));
  assert.deepEqual(await pathsBelow(dir, tree, 'apps'), ['apps/a/a.yaml', 'apps/link']);
  assert.deepEqual(await pathsBelow(dir, tree, 'apps/b'), []);
});

test('a link in a repository leads nowhere, neither to be read nor to be written', async () => {
  assert.equal(await textAt(dir, head, 'apps/link'), undefined);
  assert.equal(await textAt(dir, head, 'apps/link/passwd'), undefined);
  assert.deepEqual(await pathsBelow(dir, head, 'apps/link'), []);
  await assert.rejects(treeWith(dir, head, new Map([['apps/link/x', 'y']])), /link is no folder/);
  assert.deepEqual(fs.readdirSync(dir), ['.git'], 'a file was written down');
});
