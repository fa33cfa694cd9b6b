import type { KubernetesObject } from '../platform/cluster';
import type { Platform } from '../platform/platform';
import { curlOf, exampleOf, requestOf } from './request.ts';
import {
  boundsOf,
  conditionsOf,
  deliveryOf,
  replicasOf,
  revisionOf,
  wellbeingOf,
  type Condition,
  type Delivery,
} from './words.ts';

/** All that the page of an endpoint shows. */
export type Facts = {
  well: boolean;
  words: string;
  /** Since when, as RFC 3339. */
  since?: string;
  conditions: Condition[];
  revision: string;
  replicas: string;
  cost: string;
  url?: string;
  delivery?: Delivery;
  /** What it is made of; the size is there if it has the amounts of one. */
  model: { modelFormat?: string; storageUri?: string; size?: string; minReplicas: number; maxReplicas?: number };
  /** How it is asked; not there while it cannot be. */
  use?: { curl: string; withKey: boolean };
  example: string;
};

/** What the cluster has of an endpoint. */
export type Found = { service: KubernetesObject; revision?: KubernetesObject; application?: KubernetesObject };

export function factsOf(platform: Platform, withKey: boolean, { service, revision, application }: Found): Facts {
  const request = requestOf(service);
  const example = exampleOf(service);
  const model = service.spec?.predictor?.model;
  const { least, most } = boundsOf(service);
  return {
    ...wellbeingOf(service),
    conditions: conditionsOf(service),
    revision: revisionOf(service),
    replicas: replicasOf(service, revision),
    cost: costOf(platform, service),
    url: service.status?.url,
    delivery: application && deliveryOf(application),
    model: {
      modelFormat: model?.modelFormat?.name,
      storageUri: model?.storageUri,
      size: sizeOf(platform, service),
      minReplicas: least,
      maxReplicas: most,
    },
    use: request && { curl: curlOf(platform.gatewayUrl, withKey, request, example), withKey },
    example,
  };
}

/** The size whose amounts an endpoint has, if any. */
function sizeOf(platform: Platform, service: KubernetesObject): string | undefined {
  const { requests, limits } = service.spec?.predictor?.model?.resources ?? {};
  return Object.entries(platform.sizes).find(
    ([, size]) =>
      size.requests.cpu === String(requests?.cpu) &&
      size.requests.memory === String(requests?.memory) &&
      size.limits.cpu === String(limits?.cpu) &&
      size.limits.memory === String(limits?.memory),
  )?.[0];
}

function costOf(platform: Platform, service: KubernetesObject): string {
  const size = sizeOf(platform, service);
  if (!size) return 'Not known here: it asks for amounts that no size has. `neuroscale cost` knows';
  const { currency, monthly } = platform.prices;
  const { least, most } = boundsOf(service);
  const amount = (replicas: number) => (replicas * monthly[size]).toFixed(2);
  const range = most === undefined ? `from ${amount(least)}` : least === most ? amount(least) : `${amount(least)} to ${amount(most)}`;
  return `${range} ${currency} a month`;
}
