import git from 'isomorphic-git';
import fs from 'node:fs';
import type { Main, Site } from '../forge';
import type { GiteaApi } from './api';
import { propose } from './propose.ts';
import { http } from './transport.ts';
import { pathsBelow, textAt } from './tree.ts';

/** A clone of a repository's main branch. No file of it is written down: a link in it would lead out. */
export type Clone = {
  api: GiteaApi;
  repository: string;
  dir: string;
  url: string;
  head: string;
  onAuth: () => { username: string; password: string };
};

/** The main branch of a repository, cloned into a folder. */
export async function mainOf(site: Site, api: GiteaApi, token: string, repository: string, dir: string): Promise<Main> {
  // Git would say less about why not.
  await api.mayRead(repository);
  const url = `${site.url}/${site.organization}/${repository}.git`;
  // Git's own user names are not looked at: the token says who it is.
  const onAuth = () => ({ username: 'oauth2', password: token });
  const options = { ref: 'main', singleBranch: true, depth: 1, noTags: true, noCheckout: true };
  await git.clone({ fs, http, dir, url, onAuth, ...options });
  const head = await git.resolveRef({ fs, dir, ref: 'refs/remotes/origin/main' });
  const clone: Clone = { api, repository, dir, url, head, onAuth };
  return {
    repository,
    paths: folder => pathsBelow(dir, head, folder),
    text: path => textAt(dir, head, path),
    propose: change => propose(clone, change),
  };
}
