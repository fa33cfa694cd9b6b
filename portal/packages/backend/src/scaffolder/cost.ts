import { Platform } from '../platform/platform';
import { Endpoint } from './endpoint';

/** What an endpoint costs, in a sentence. */
export function costOf(platform: Platform, e: Endpoint): string {
  const { currency, monthly } = platform.prices;
  const each = monthly[e.size];
  const [least, most] = [e.minReplicas * each, e.maxReplicas * each].map(amount => amount.toFixed(2));
  return `${e.name} costs ${least} to ${most} ${currency} a month, from its fewest to its most replicas.`;
}
