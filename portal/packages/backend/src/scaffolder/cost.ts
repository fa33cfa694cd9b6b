import type { Platform } from '../platform/platform';
import type { Endpoint } from './endpoint';

/** What an endpoint costs, in a sentence. */
export function costOf(platform: Platform, e: Endpoint): string {
  return `${e.name} costs ${range(platform, e)} ${platform.prices.currency} a month, from its fewest to its most replicas.`;
}

/** What an endpoint costs that is changed, in a sentence. */
export function changeOfCost(platform: Platform, before: Endpoint, after: Endpoint): string {
  const was = range(platform, before);
  return was === range(platform, after)
    ? costOf(platform, after)
    : costOf(platform, after).replace(/\.$/, `; before, ${was}.`);
}

function range({ prices }: Platform, e: Endpoint): string {
  return [e.minReplicas, e.maxReplicas].map(replicas => (replicas * prices.monthly[e.size]).toFixed(2)).join(' to ');
}
