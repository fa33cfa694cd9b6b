/** Milliseconds that GitHub has for one answer. */
const patience = 20_000;

/** Milliseconds that are waited for it to take requests again; what would be longer is an error. */
const longestWait = 60_000;

/** Milliseconds it asks to be waited for where it names no time. */
const unsaid = 60_000;

/** What GitHub refuses, with a sentence for the person. */
export class Refusal extends Error {
  readonly status: number;
  /** What GitHub says itself. */
  readonly said: string;

  constructor(status: number, said: string, sentence: string) {
    super(sentence);
    this.status = status;
    this.said = said;
  }
}

/** Whether something is not there, or has nothing in it yet. */
export function isMissing(error: unknown): boolean {
  return error instanceof Refusal && (error.status === 404 || error.status === 409);
}

/** Asks GitHub's REST API as the person whose token it is. */
export class GitHubApi {
  private readonly url: string;
  private readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  get<T>(path: string): Promise<T> {
    return this.ask<T>('GET', path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.ask<T>('POST', path, body);
  }

  patch<T>(path: string, body: unknown): Promise<T> {
    return this.ask<T>('PATCH', path, body);
  }

  private async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const before = Date.now();
    for (;;) {
      const { status, headers, text } = await this.send(method, path, body);
      if (status < 300) return JSON.parse(text) as T;
      const said = saidIn(text);
      const wait = waitFor(status, headers, said.message);
      if (wait === undefined) throw refusalOf(path, status, headers, said);
      if (Date.now() + wait > before + longestWait) {
        const until = new Date(Date.now() + wait).toISOString().slice(11, 16);
        throw new Refusal(status, said.message, `GitHub takes no more requests of yours until ${until} UTC: try again then, nothing was lost`);
      }
      await new Promise(resolve => setTimeout(resolve, wait));
    }
  }

  private async send(method: string, path: string, body: unknown) {
    try {
      const response = await fetch(`${this.url}${path}`, {
        method,
        headers: {
          Authorization: `Bearer ${this.token}`,
          Accept: 'application/vnd.github+json',
          'Content-Type': 'application/json',
          'User-Agent': 'neuroscale',
          'X-GitHub-Api-Version': '2022-11-28',
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        // It leads to what was renamed, as which nothing here knows it.
        redirect: 'manual',
        signal: AbortSignal.timeout(patience),
      });
      return { status: response.status, headers: response.headers, text: await response.text() };
    } catch (error) {
      const { cause, message } = error as Error & { cause?: Error };
      throw new Error(`GitHub does not answer: ${cause?.message || message}. Try again, nothing was lost`);
    }
  }
}

type Said = { message: string; details: string[] };

function saidIn(text: string): Said {
  try {
    const { message, errors } = JSON.parse(text) as { message?: string; errors?: unknown[] };
    const details = (errors ?? []).map((each: any) =>
      typeof each === 'string' ? each : each.message ?? [each.field, each.code].filter(Boolean).join(' '),
    );
    return { message: message ?? '', details: [...new Set<string>(details)] };
  } catch {
    return { message: '', details: [] };
  }
}

/** Milliseconds until GitHub takes requests again; undefined if there were not too many. */
function waitFor(status: number, headers: Headers, message: string): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  // Never at once.
  const atLeast = (milliseconds: number) => Math.max(milliseconds, 1000);
  const after = headers.get('retry-after');
  if (after && /^[0-9]+$/.test(after)) return atLeast(Number(after) * 1000);
  const reset = Number(headers.get('x-ratelimit-reset'));
  if (headers.get('x-ratelimit-remaining') === '0' && reset) return atLeast(reset * 1000 - Date.now());
  return status === 429 || /secondary rate limit/.test(message) ? unsaid : undefined;
}

function refusalOf(path: string, status: number, headers: Headers, { message, details }: Said): Refusal {
  const refuse = (sentence: string) => new Refusal(status, [message, ...details].join(', '), sentence);
  const [, repository] = /^\/repos\/([^/]+\/[^/?]+)/.exec(path) ?? [];
  const what = repository ?? 'that';
  const signOn = /url=(\S+)/.exec(headers.get('x-github-sso') ?? '')?.[1];
  const scopes = headers.get('x-accepted-oauth-scopes');
  const has = (headers.get('x-oauth-scopes') ?? '').split(/[, ]+/);
  if (status < 400) return refuse(`${what} has another name on GitHub now: have whoever runs the platform write that`);
  switch (status) {
    case 401:
      return refuse('GitHub does not know you any more, your token was revoked or has expired: sign out, sign in and try again');
    case 403:
      if (signOn) return refuse(`Your token is not let into the organization, which signs people in by itself: allow it at ${signOn} and try again`);
      if (/OAuth App access restrictions/i.test(message)) {
        return refuse('The organization lets no OAuth App in that none of its owners has approved: have one approve that of the portal, and try again');
      }
      if (scopes && !scopes.split(/[, ]+/).some(each => has.includes(each))) {
        return refuse(`Your token has not the scope ${scopes}: sign out, sign in, let the portal have it, and try again`);
      }
      return refuse(`GitHub does not let you do that in ${what}: ${message || 'it does not say why'}`);
    case 404:
      return refuse(`${what} is not there, or GitHub does not let you do that there: ask whoever owns it for the right, and try again`);
    case 422:
      return refuse(`GitHub does not take it: ${[message, ...details].filter(Boolean).join(', ') || 'it does not say why'}`);
    default:
      return refuse(`GitHub answers ${status}: ${message || 'it does not say why'}. Try again, nothing was lost`);
  }
}
