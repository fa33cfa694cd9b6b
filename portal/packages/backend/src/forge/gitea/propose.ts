import git from 'isomorphic-git';
import fs from 'node:fs';
import { type Change, isMade, proposedOtherwise, type Pull } from '../forge.ts';
import type { Clone } from './main';
import { http } from './transport.ts';
import { textAt, treeWith } from './tree.ts';

/** Pushes to refs/for/main, for which one needs to read the repository only. */
export async function propose(clone: Clone, change: Change): Promise<Pull> {
  const { api, repository, dir, url, onAuth, head } = clone;
  const me = await api.account();
  const open = (await api.pulls(repository)).find(p => p.user === me && p.title === change.title);
  if (open) {
    if (await same(clone, open.number, change)) return open;
    throw proposedOtherwise(change, open.url);
  }
  const topic = `${change.kind}-${change.name}`;
  const sha = await git.commit({
    fs,
    dir,
    ref: 'refs/heads/main',
    tree: await treeWith(dir, head, change.files),
    parent: [head],
    message: `${change.title}\n\n${change.text}\n`,
    author: { name: me, email: `${me}@forge.invalid` },
  });
  const said: string[] = [];
  const pushed = await git
    .push({
      fs,
      http,
      dir,
      url,
      onAuth,
      ref: 'main',
      remoteRef: `refs/for/main/${topic}`,
      onMessage: message => {
        said.push(message.trim());
      },
    })
    .catch(error => {
      const text = [error.message, ...said].join(' ');
      // The topic is the person's already, under a title that somebody has changed.
      throw new Error(
        /force-push/.test(text)
          ? `You have proposed ${topic} already, under another title: merge or close that pull request, and try again`
          : `The forge refuses the change: ${text}`,
      );
    });
  const refused = Object.values(pushed.refs ?? {}).find(ref => !ref.ok)?.error ?? pushed.error;
  if (refused) throw new Error(`The forge refuses the change: ${[refused, ...said].join(' ')}`);
  const mine = (await api.pulls(repository)).find(p => p.sha === sha);
  if (!mine) throw new Error('The forge took the change, but shows no pull request for it: look there before you try again');
  return mine;
}

/** Whether a pull request makes just the files of a change. */
async function same({ dir, url, onAuth }: Clone, number: number, change: Change): Promise<boolean> {
  const { fetchHead } = await git.fetch({
    fs, http, dir, url, onAuth, remoteRef: `refs/pull/${number}/head`, singleBranch: true, depth: 1, tags: false,
  });
  return isMade(change, path => textAt(dir, fetchHead!, path));
}
