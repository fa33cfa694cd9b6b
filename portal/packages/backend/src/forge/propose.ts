import git from 'isomorphic-git';
import fs from 'node:fs';
import { Checkout } from './checkout';
import { Pull } from './gitea';
import { http } from './transport';
import { textAt, treeWith } from './tree';

/** What a change does to the folder of an endpoint: its files by path, undefined for one that goes. */
export type Change = {
  /** What kind of change to which endpoint, such as add-my-iris: somebody has one such pull request at a time. */
  topic: string;
  title: string;
  text: string;
  files: Map<string, string | undefined>;
};

/**
 * Opens a pull request as the person whose token it is, and returns it. It is pushed to
 * refs/for/main, for which one needs to read the repository only. One that is open
 * already with the same files is returned as it is, so that this can be done again.
 */
export async function propose(checkout: Checkout, change: Change): Promise<Pull> {
  const { gitea, repository, dir, url, onAuth, head } = checkout;
  const me = await gitea.account();
  const open = (await gitea.pulls(repository)).find(p => p.user === me && p.title === change.title);
  if (open) {
    if (await same(checkout, open.number, change)) return open;
    throw new Error(`You have proposed something else as ${change.title}: merge or close ${open.url}, and try again`);
  }
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
      remoteRef: `refs/for/main/${change.topic}`,
      onMessage: message => {
        said.push(message.trim());
      },
    })
    .catch(error => {
      const text = [error.message, ...said].join(' ');
      // The topic is the person's already, under a title that somebody has changed.
      throw new Error(
        /force-push/.test(text)
          ? `You have proposed ${change.topic} already, under another title: merge or close that pull request, and try again`
          : `The forge refuses the change: ${text}`,
      );
    });
  const refused = Object.values(pushed.refs ?? {}).find(ref => !ref.ok)?.error ?? pushed.error;
  if (refused) throw new Error(`The forge refuses the change: ${[refused, ...said].join(' ')}`);
  const mine = (await gitea.pulls(repository)).find(p => p.sha === sha);
  if (!mine) throw new Error('The forge took the change, but shows no pull request for it: look there before you try again');
  return mine;
}

/** Whether a pull request makes just the files of a change. */
async function same({ dir, url, onAuth }: Checkout, number: number, change: Change): Promise<boolean> {
  const { fetchHead } = await git.fetch({
    fs, http, dir, url, onAuth, remoteRef: `refs/pull/${number}/head`, singleBranch: true, depth: 1, tags: false,
  });
  for (const [path, text] of change.files) {
    if ((await textAt(dir, fetchHead!, path)) !== text) return false;
  }
  return true;
}
