import { ANNOTATION_LOCATION, ANNOTATION_ORIGIN_LOCATION, Entity } from '@backstage/catalog-model';
import { folderOf } from '../forge/folders';
import { pageOf } from '../forge/forge';
import { forgeAt } from '../forge/kinds';
import { folderOfEndpoint } from '../platform/application';
import { KubernetesObject } from '../platform/cluster';
import { Platform } from '../platform/platform';

const location = 'neuroscale:platform';

/** Which endpoint a Component is. */
export const ANNOTATION_ENDPOINT = 'neuroscale.dev/endpoint';

/** Its folder in the tenant's repository. */
export const ANNOTATION_FOLDER = 'neuroscale.dev/folder';

function entity(kind: string, name: string, spec: object, more: Partial<Entity['metadata']> = {}): Entity {
  return {
    apiVersion: 'backstage.io/v1alpha1',
    kind,
    metadata: {
      name,
      ...more,
      annotations: { [ANNOTATION_LOCATION]: location, [ANNOTATION_ORIGIN_LOCATION]: location, ...more.annotations },
    },
    spec: spec as Entity['spec'],
  };
}

/** Teams, the people in them, and their systems, as the configuration has them. */
export function entitiesOfTenants(platform: Platform): Entity[] {
  const teams = platform.tenants.flatMap(t => [
    entity(
      'Group',
      t.namespace,
      { type: 'tenant', children: [], profile: { displayName: t.namespace } },
      { title: t.namespace, description: `Owner ${t.owner}, cost center ${t.costCenter}` },
    ),
    entity('System', t.namespace, { owner: `group:default/${t.namespace}` }, {
      title: t.namespace,
      description: `Endpoints of tenant ${t.namespace}`,
      links: [{ url: pageOf(platform.forge, t.repository), title: 'Repository' }],
    }),
  ]);
  const memberOf = new Map<string, string[]>();
  for (const t of platform.tenants) {
    for (const member of t.members) memberOf.set(member, [...(memberOf.get(member) ?? []), t.namespace]);
  }
  const people = [...memberOf].map(([name, groups]) =>
    entity('User', name, { memberOf: groups, profile: { displayName: name } }),
  );
  return [...teams, ...people];
}

/** An endpoint that runs, or is to. */
export function entityOfEndpoint(platform: Platform, service: KubernetesObject): Entity {
  const { name, namespace, labels = {} } = service.metadata;
  const tenant = platform.tenants.find(t => t.namespace === namespace)!;
  const url: string | undefined = service.status?.url;
  const folder = folderOfEndpoint(platform, service);
  return entity(
    'Component',
    // One name may be in several namespaces of the cluster.
    namespace === platform.tenants[0].namespace ? name : `${name}.${namespace}`,
    {
      type: 'endpoint',
      lifecycle: 'production',
      owner: `group:default/${namespace}`,
      system: namespace,
    },
    {
      title: name,
      description: `Serves ${service.spec?.predictor?.model?.storageUri ?? 'a model'}`,
      labels,
      annotations: {
        [ANNOTATION_ENDPOINT]: `${namespace}/${name}`,
        ...(folder ? { [ANNOTATION_FOLDER]: folder } : {}),
      },
      tags: [service.spec?.predictor?.model?.modelFormat?.name].filter(Boolean),
      links: [
        ...(folder ? [{ url: forgeAt(platform.forge).folderPage(tenant.repository, folderOf(folder)), title: 'Files' }] : []),
        ...(url ? [{ url, title: 'URL' }] : []),
      ],
    },
  );
}
