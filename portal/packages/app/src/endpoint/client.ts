import { createApiRef, DiscoveryApi, FetchApi, OAuthApi } from '@backstage/core-plugin-api';
import type { Answer } from '../../../backend/src/endpoints/ask';
import type { Facts } from '../../../backend/src/endpoints/facts';
import type { LastChange } from '../../../backend/src/forge/forge';

export type { Answer, Facts, LastChange };

/** Milliseconds for which the cards of one page share an answer. */
const fresh = 2000;

/** Asks the portal's backend about endpoints, each called NAMESPACE/NAME. */
export class EndpointsClient {
  private readonly known = new Map<string, { at: number; facts: Promise<Facts> }>();

  constructor(private readonly apis: { discovery: DiscoveryApi; fetch: FetchApi; forge: OAuthApi }) {}

  facts(endpoint: string): Promise<Facts> {
    const before = this.known.get(endpoint);
    if (before && Date.now() - before.at < fresh) return before.facts;
    const facts = this.ask<Facts>(endpoint);
    this.known.set(endpoint, { at: Date.now(), facts });
    return facts;
  }

  /** Nothing for who has not signed in with the forge. */
  async lastChange(endpoint: string): Promise<LastChange | undefined> {
    const token = await this.apis.forge.getAccessToken(undefined, { optional: true });
    if (!token) return undefined;
    return (await this.ask<LastChange | null>(`${endpoint}/last-change`, { headers: { 'forge-token': token } })) ?? undefined;
  }

  predict(endpoint: string, body: string): Promise<Answer> {
    return this.ask<Answer>(`${endpoint}/predict`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  }

  private async ask<T>(path: string, init?: RequestInit): Promise<T> {
    const response = await this.apis.fetch.fetch(`${await this.apis.discovery.getBaseUrl('endpoints')}/${path}`, init);
    const body = await response.json().catch(() => undefined);
    if (!response.ok) throw new Error(body?.error?.message ?? `The portal answers ${response.status}`);
    return body as T;
  }
}

export const endpointsApiRef = createApiRef<EndpointsClient>({ id: 'plugin.endpoints' });
