import type { KubernetesObject } from '../platform/cluster';

/** How an endpoint is asked at the gateway. */
export type Request = { host: string; path: string };

const v1 = '{"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}';
const v2 =
  '{"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}]}';

const isV2 = (service: KubernetesObject) => service.spec?.predictor?.model?.protocolVersion === 'v2';

/** A question that a model of numbers answers. */
export function exampleOf(service: KubernetesObject): string {
  return isV2(service) ? v2 : v1;
}

/**
 * Host name and path of an endpoint; undefined while it has none. What the gateway is
 * asked with opens everybody's endpoints, so a host name that is not the endpoint's own
 * is never asked.
 */
export function requestOf(service: KubernetesObject): Request | undefined {
  const { name, namespace } = service.metadata;
  const host = hostOf(service.status?.url);
  if (!host) return undefined;
  const [first, second] = host.split('.');
  if (second !== namespace || ![name, `${name}-predictor`, `${name}-transformer`].includes(first)) return undefined;
  return { host, path: isV2(service) ? `/v2/models/${name}/infer` : `/v1/models/${name}:predict` };
}

function hostOf(url: unknown): string | undefined {
  try {
    const { hostname } = new URL(String(url));
    return /^[a-z0-9.-]+$/.test(hostname) ? hostname : undefined;
  } catch {
    return undefined;
  }
}

/** A line for a shell that asks an endpoint, with a key that is in a file: others see a program's arguments. */
export function curlOf(gatewayUrl: string, withKey: boolean, request: Request, body: string): string {
  const parts = [
    gatewayUrl.startsWith('https:') ? 'curl --cacert "$(neuroscale ca)"' : 'curl',
    ...(withKey ? ['-H @key.header'] : []),
    `-H 'Host: ${request.host}'`,
    "-H 'Content-Type: application/json'",
    `-d '${body.replaceAll("'", "'\\''")}'`,
    `${gatewayUrl.replace(/\/$/, '')}${request.path}`,
  ];
  return parts.join(' \\\n  ');
}
