import type { KubernetesObject } from './cluster';
import type { Platform } from './platform';

/** Where Argo CD writes which Application made an object; nobody else's word stays there. */
const tracking = 'argocd.argoproj.io/tracking-id';

/** The name of the Application that made an object. */
export function applicationOf(object: KubernetesObject): string | undefined {
  return object.metadata.annotations?.[tracking]?.split(':')[0] || undefined;
}

/**
 * The folder of an endpoint in its tenant's first repository; none if it was made from
 * somewhere else. Applications are called like folders, those of other tenants than the
 * first after the tenant.
 */
export function folderOfEndpoint(platform: Platform, service: KubernetesObject): string | undefined {
  const { namespace } = service.metadata;
  const application = applicationOf(service);
  const prefix = namespace === platform.tenants[0].namespace ? '' : `${namespace}-`;
  // Those of a tenant's further repositories begin with the tenant and a dot.
  if (!application?.startsWith(prefix) || application.startsWith(`${namespace}.`)) return undefined;
  return application.slice(prefix.length);
}
