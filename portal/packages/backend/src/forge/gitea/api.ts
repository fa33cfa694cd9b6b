import { type LastChange, pageOf, type Pull, type Site } from '../forge.ts';

/** Seconds that the forge has for one answer. */
const patience = 20;

/** A pull request that is open. */
export type Open = Pull & { title: string; user: string; sha: string };

/** Asks Gitea as the person whose token it is. */
export class GiteaApi {
  private readonly site: Site;
  private readonly token: string;

  constructor(site: Site, token: string) {
    this.site = site;
    this.token = token;
  }

  /** The account that the token is of. */
  async account(): Promise<string> {
    const user = await this.ask<{ login: string }>('GET', '/user');
    return user.login;
  }

  /** An error if the person may not read a repository. */
  async mayRead(repository: string): Promise<void> {
    await this.ask('GET', this.at(repository));
  }

  /** Open pull requests to a repository, the newest first. */
  async pulls(repository: string): Promise<Open[]> {
    const all: Open[] = [];
    for (let page = 1; ; page++) {
      const found = await this.ask<any[]>(
        'GET',
        `${this.at(repository)}/pulls?state=open&sort=newest&limit=50&page=${page}`,
      );
      all.push(
        ...found.map(p => ({
          number: p.number,
          url: `${pageOf(this.site, repository)}/pulls/${p.number}`,
          title: p.title,
          user: p.user?.login,
          sha: p.head?.sha,
        })),
      );
      if (found.length < 50) return all;
    }
  }

  /** The last change of a path on the main branch; undefined if there was none. */
  async lastChange(repository: string, path: string): Promise<LastChange | undefined> {
    const commits = (of: string) =>
      this.ask<any[]>('GET', `${this.at(repository)}/commits?sha=main&stat=false&verification=false&files=false&${of}`);
    const [commit] = await commits(`limit=1&path=${encodeURIComponent(path)}`);
    if (!commit) return undefined;
    const page = pageOf(this.site, repository);
    const pull =
      (await this.pullThatMade(repository, commit.sha)) ??
      // It came with a merge commit, unless that was long ago.
      (await this.pullThatMade(
        repository,
        (await commits('limit=50')).find(each => each.parents?.slice(1).some((p: { sha: string }) => p.sha === commit.sha))?.sha,
      ));
    return {
      title: String(commit.commit?.message ?? '').split('\n')[0],
      author: commit.author?.login ?? commit.commit?.author?.name ?? 'somebody',
      when: commit.commit?.author?.date,
      url: `${page}/commit/${commit.sha}`,
      merged: pull && { by: pull.merged_by?.login ?? 'somebody', number: pull.number, url: `${page}/pulls/${pull.number}` },
    };
  }

  /** The pull request that a commit of the main branch was made by. */
  private async pullThatMade(repository: string, sha?: string): Promise<any | undefined> {
    if (!sha) return undefined;
    const response = await this.send('GET', `${this.at(repository)}/commits/${sha}/pull`);
    if (response.status === 404) return undefined;
    if (!response.ok) throw await this.refusal(response);
    return response.json();
  }

  private at(repository: string): string {
    return `/repos/${this.site.organization}/${repository}`;
  }

  private send(method: string, path: string): Promise<Response> {
    return fetch(`${this.site.url}/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${this.token}`, Accept: 'application/json' },
      signal: AbortSignal.timeout(patience * 1000),
    }).catch(error => {
      throw new Error(`The forge does not answer: ${error.cause?.message ?? error.message}. Try again; nothing was lost`);
    });
  }

  private async ask<T = unknown>(method: string, path: string): Promise<T> {
    const response = await this.send(method, path);
    if (!response.ok) throw await this.refusal(response);
    return (await response.json()) as T;
  }

  private async refusal(response: Response): Promise<Error> {
    const { message } = (await response.json().catch(() => ({}))) as { message?: string };
    switch (response.status) {
      case 401:
        return new Error('The forge does not know you any more: sign out, sign in and try again');
      case 403:
      case 404:
        return new Error(`The forge lets you not do that: ${message ?? 'you are no member of the tenant'}`);
      default:
        return new Error(`The forge answers ${response.status}: ${message ?? 'it does not say why'}`);
    }
  }
}
