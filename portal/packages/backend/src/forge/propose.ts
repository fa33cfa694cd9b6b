import git, { HttpClient } from 'isomorphic-git';
import { request } from 'isomorphic-git/http/node';
import fs from 'node:fs';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { dirname, join } from 'node:path';
import { Forge } from '../platform/platform';
import { Gitea, Pull } from './gitea';

/** Milliseconds that the forge may think. Node's own agents give up after five seconds. */
const timeout = 60_000;

const agents = { 'http:': new HttpAgent({ timeout }), 'https:': new HttpsAgent({ timeout }) };

const http: HttpClient = {
  request: r => request({ ...r, agent: agents[new URL(r.url).protocol as keyof typeof agents] }),
};

/** What a change does to the folder of an endpoint: its files by path, undefined for one that goes. */
export type Change = {
  repository: string;
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
export async function propose(forge: Forge, token: string, change: Change, dir: string): Promise<Pull> {
  const gitea = new Gitea(forge, token);
  const me = await gitea.account();
  const url = `${forge.url}/${forge.organization}/${change.repository}.git`;
  // Git's own user names are not looked at: the token says who it is.
  const onAuth = () => ({ username: 'oauth2', password: token });
  await git.clone({ fs, http, dir, url, onAuth, ref: 'main', singleBranch: true, depth: 1, noTags: true });

  for (const [path, text] of change.files) {
    const file = join(dir, path);
    if (text === undefined) {
      await fs.promises.rm(file);
      await git.remove({ fs, dir, filepath: path });
    } else {
      await fs.promises.mkdir(dirname(file), { recursive: true });
      await fs.promises.writeFile(file, text);
      await git.add({ fs, dir, filepath: path });
    }
  }
  const open = (await gitea.pulls(change.repository)).find(p => p.user === me && p.title === change.title);
  if (open) {
    if (await same(dir, url, onAuth, open.number, change)) return open;
    throw new Error(`You have proposed something else as ${change.title}: merge or close ${open.url}, and try again`);
  }
  const author = { name: me, email: `${me}@forge.invalid` };
  const sha = await git.commit({ fs, dir, message: `${change.title}\n\n${change.text}\n`, author });
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
  const mine = (await gitea.pulls(change.repository)).find(p => p.sha === sha);
  if (!mine) throw new Error('The forge took the change, but shows no pull request for it: look there before you try again');
  return mine;
}

type Auth = () => { username: string; password: string };

/** Whether a pull request makes just the files of a change. */
async function same(dir: string, url: string, onAuth: Auth, number: number, change: Change): Promise<boolean> {
  const { fetchHead } = await git.fetch({
    fs, http, dir, url, onAuth, remoteRef: `refs/pull/${number}/head`, singleBranch: true, depth: 1, tags: false,
  });
  for (const [filepath, text] of change.files) {
    const there = await git
      .readBlob({ fs, dir, oid: fetchHead!, filepath })
      .then(({ blob }) => Buffer.from(blob).toString('utf8'), () => undefined);
    if (there !== text) return false;
  }
  return true;
}
