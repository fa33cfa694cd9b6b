import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Answer = { status: number; headers?: Record<string, string>; body?: unknown };
type Files = Record<string, string>;
type Pull = { number: number; state: string; title: string; body: string; head: string; base: string };

/**
 * GitHub for tests: one repository, acme/endpoints, as its REST API is documented
 * (version 2022-11-28). ann may write there, bob may not.
 */
export class StandIn {
  readonly requests: string[] = [];
  readonly pulls: Pull[] = [];
  /** Branches by OWNER:NAME, and what each commit or tree has. */
  readonly branches = new Map([['acme:main', 'm0']]);
  readonly commits = new Map<string, { files: Files; parents: string[]; message?: string }>();
  /** Answers in place of the next ones of a request, by METHOD PATH. */
  readonly instead = new Map<string, Answer[]>();
  private readonly server: Server;
  private readonly people: Record<string, string> = { anns: 'ann', bobs: 'bob' };
  private readonly forks = new Set<string>();
  private next = 0;

  constructor(files: Files) {
    this.commits.set('m0', { files, parents: [] });
    this.server = createServer(async (req, res) => {
      const parts: Buffer[] = [];
      for await (const part of req) parts.push(part as Buffer);
      const text = Buffer.concat(parts).toString('utf8');
      const { status, headers, body } = this.answer(req, text ? JSON.parse(text) : {});
      this.requests.push(`${req.method} ${req.url!.split('?')[0]} ${status}`);
      res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body ?? {}));
    });
  }

  async start(): Promise<string> {
    await new Promise<void>(resolve => {
      this.server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** The files of a branch, OWNER:NAME. */
  filesOf(branch: string): Files {
    return this.commits.get(this.branches.get(branch)!)!.files;
  }

  private answer(req: IncomingMessage, sent: any): Answer {
    const url = new URL(req.url!, 'http://github');
    const path = decodeURIComponent(url.pathname);
    const login = this.people[(req.headers.authorization ?? '').replace('Bearer ', '')];
    const instead = this.instead.get(`${req.method} ${path}`)?.shift();
    if (instead) return instead;
    if (!login) return { status: 401, body: { message: 'Bad credentials' } };
    if (path === '/user') return { status: 200, body: { login } };
    const [, owner, rest] = /^\/repos\/([^/]+)\/endpoints(?:\/(.*))?$/.exec(path) ?? [];
    const missing = { status: 404, body: { message: 'Not Found' } };
    if (owner === undefined || (owner !== 'acme' && !this.forks.has(owner))) return missing;
    return this.inRepository(req.method!, owner, rest ?? '', url.searchParams, sent, login) ?? missing;
  }

  private inRepository(method: string, owner: string, rest: string, query: URLSearchParams, sent: any, login: string): Answer | undefined {
    const push = owner === login || login === 'ann';
    const ok = (body: unknown, status = 200): Answer => ({ status, body });
    const invalid = (message: string, errors?: unknown[]): Answer => ({ status: 422, body: { message, errors } });
    const id = (prefix: string) => `${prefix}${++this.next}`;
    // GitHub hides what somebody may not write to.
    if (method !== 'GET' && rest.startsWith('git/') && !push) return undefined;
    const [, branch] = /^git\/refs?\/heads\/(.+)$/.exec(rest) ?? [];
    const [, sha] = /^git\/(?:trees|blobs|commits)\/(.+)$/.exec(rest) ?? [];
    switch (`${method} ${sha ? rest.split('/')[1] : branch ? 'ref' : rest}`) {
      case 'GET ':
        return ok({ owner: { login: owner }, permissions: { push } });
      case 'GET ref': {
        const commit = this.branches.get(`${owner}:${branch}`);
        return commit ? ok({ object: { sha: commit } }) : undefined;
      }
      case 'GET commits':
        return this.commits.has(sha) ? ok({ tree: { sha } }) : undefined;
      case 'GET trees':
        return ok({
          truncated: false,
          tree: Object.keys(this.commits.get(sha)!.files).map(each => {
            const text = this.commits.get(sha)!.files[each];
            return { path: each, type: 'blob', mode: text.startsWith('->') ? '120000' : '100644', sha: Buffer.from(text).toString('hex') };
          }),
        });
      case 'GET blobs':
        return ok({ encoding: 'base64', content: Buffer.from(sha, 'hex').toString('base64') });
      case 'GET pulls':
        return ok(this.pulls.filter(p => p.state === query.get('state') && p.base === query.get('base') && p.head === query.get('head')).map(p => this.shown(p)));
      case 'POST pulls':
        if (this.pulls.some(p => p.state === 'open' && p.head === sent.head)) {
          return invalid('Validation Failed', [{ resource: 'PullRequest', code: 'custom', message: `A pull request already exists for ${sent.head}.` }]);
        }
        if (!this.branches.has(sent.head)) return invalid('Validation Failed', [{ resource: 'PullRequest', field: 'head', code: 'invalid' }]);
        this.pulls.push({ number: this.pulls.length + 1, state: 'open', ...sent });
        return ok(this.shown(this.pulls.at(-1)!), 201);
      case 'POST forks':
        this.forks.add(login);
        this.branches.set(`${login}:main`, 'm0');
        return ok({ name: 'endpoints', owner: { login } }, 202);
      case 'POST merge-upstream':
        this.branches.set(`${owner}:main`, this.branches.get('acme:main')!);
        return ok({ merge_type: 'fast-forward' });
      case 'POST git/trees': {
        const files = { ...this.commits.get(sent.base_tree)!.files };
        for (const each of sent.tree) {
          if (each.sha === null) delete files[each.path];
          else files[each.path] = each.content;
        }
        const made = id('t');
        this.commits.set(made, { files, parents: [] });
        return ok({ sha: made }, 201);
      }
      case 'POST git/commits': {
        const made = id('c');
        this.commits.set(made, { files: this.commits.get(sent.tree)!.files, parents: sent.parents, message: sent.message });
        return ok({ sha: made }, 201);
      }
      case 'PATCH ref':
        if (!this.branches.has(`${owner}:${branch}`)) return invalid('Reference does not exist');
        this.branches.set(`${owner}:${branch}`, sent.sha);
        return ok({});
      case 'POST git/refs':
        this.branches.set(`${owner}:${sent.ref.replace('refs/heads/', '')}`, sent.sha);
        return ok({}, 201);
      default:
        return undefined;
    }
  }

  private shown(p: Pull) {
    return { number: p.number, html_url: `https://github.com/acme/endpoints/pull/${p.number}`, head: { sha: this.branches.get(p.head) } };
  }
}
