import { InputError, NotAllowedError } from '@backstage/errors';
import type { Platform, Tenant } from './platform';

/** The tenant of a name or of a Group's reference, if the person belongs to it. */
export function tenantOf(platform: Platform, name: string, ownership: string[]): Tenant {
  const namespace = name.replace(/^group:default\//, '');
  const tenant = platform.tenants.find(each => each.namespace === namespace);
  if (!tenant) throw new InputError(`There is no tenant ${namespace}`);
  if (!ownership.includes(`group:default/${namespace}`)) {
    throw new NotAllowedError(`You are no member of tenant ${namespace}`);
  }
  return tenant;
}
