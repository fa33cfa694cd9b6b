import git from 'isomorphic-git';
import fs from 'node:fs';
import { Forge } from '../platform/platform';
import { Gitea } from './gitea';
import { http } from './transport';
import { pathsBelow, textAt } from './tree';

/** Folder of a tenant's repository whose folders are its endpoints. */
const apps = 'apps';

/** The folder of an endpoint. */
export const folderOf = (name: string) => `${apps}/${name}`;

/**
 * The main branch of a tenant's repository, as the person whose token it is may read
 * it. No file of it is written down: a link in it would lead out.
 */
export class Checkout {
  private constructor(
    readonly gitea: Gitea,
    readonly repository: string,
    readonly dir: string,
    readonly url: string,
    readonly token: string,
    readonly head: string,
  ) {}

  static async of(forge: Forge, token: string, repository: string, dir: string): Promise<Checkout> {
    const gitea = new Gitea(forge, token);
    // Git would say less about why not.
    await gitea.mayRead(repository);
    const url = `${forge.url}/${forge.organization}/${repository}.git`;
    const options = { ref: 'main', singleBranch: true, depth: 1, noTags: true, noCheckout: true };
    await git.clone({ fs, http, dir, url, onAuth: () => authOf(token), ...options });
    const head = await git.resolveRef({ fs, dir, ref: 'refs/remotes/origin/main' });
    return new Checkout(gitea, repository, dir, url, token, head);
  }

  /** Git's own user names are not looked at: the token says who it is. */
  readonly onAuth = () => authOf(this.token);

  /** Names of the endpoints' folders, sorted. */
  async names(): Promise<string[]> {
    const paths = await pathsBelow(this.dir, this.head, apps);
    return [...new Set(paths.filter(path => path.split('/').length > 2).map(path => path.split('/')[1]))];
  }

  /** Paths of the files in the folder of an endpoint, sorted; none if it is not there. */
  paths(name: string): Promise<string[]> {
    return pathsBelow(this.dir, this.head, folderOf(name));
  }

  /** The text of a file; undefined if it is a link or a repository. */
  text(path: string): Promise<string | undefined> {
    return textAt(this.dir, this.head, path);
  }
}

function authOf(token: string) {
  return { username: 'oauth2', password: token };
}
