import { Forge } from '../platform/platform';

/** Seconds that the forge has for one answer. */
const patience = 20;

export type Pull = {
  number: number;
  url: string;
  title: string;
  user: string;
  sha: string;
};

/** Asks Gitea as the person whose token it is. */
export class Gitea {
  constructor(
    private readonly forge: Forge,
    private readonly token: string,
  ) {}

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
  async pulls(repository: string): Promise<Pull[]> {
    const all: Pull[] = [];
    for (let page = 1; ; page++) {
      const found = await this.ask<any[]>(
        'GET',
        `${this.at(repository)}/pulls?state=open&sort=newest&limit=50&page=${page}`,
      );
      all.push(
        ...found.map(p => ({
          number: p.number,
          url: `${this.forge.publicUrl}/${this.forge.organization}/${repository}/pulls/${p.number}`,
          title: p.title,
          user: p.user?.login,
          sha: p.head?.sha,
        })),
      );
      if (found.length < 50) return all;
    }
  }

  private at(repository: string): string {
    return `/repos/${this.forge.organization}/${repository}`;
  }

  private send(method: string, path: string): Promise<Response> {
    return fetch(`${this.forge.url}/api/v1${path}`, {
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
