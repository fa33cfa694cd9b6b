import type { Platform, Tenant } from '../platform/platform';
import { type Endpoint, valuesOf } from './endpoint.ts';
import { render, unfill, type Values } from './skeleton.ts';

/** The files of an endpoint's folder by their names in it; undefined for one that has no text. */
export type Files = Map<string, string | undefined>;

/** Why a folder cannot be made again: what is in one of its files would be lost. */
export type ByHand = { file: string; why: string };

/**
 * The endpoint that a folder was made for. It can be made again only if the templates
 * make just what is there: everything else is somebody's own.
 */
export function madeFor(
  platform: Platform,
  tenant: Tenant,
  templates: Map<string, string>,
  files: Files,
): Endpoint | ByHand {
  for (const file of files.keys()) {
    if (!templates.has(file)) return { file, why: 'was added by hand' };
  }
  const values: Values = {};
  for (const [file, template] of templates) {
    const text = files.get(file);
    const found = text === undefined ? undefined : unfill(template, text);
    if (!found) return { file, why: text === undefined ? 'is missing' : 'was written or changed by hand' };
    Object.assign(values, found);
  }
  const endpoint = endpointOf(platform, values);
  const [first] = templates.keys();
  if (!endpoint) return { file: first, why: 'asks for amounts that no size has' };
  for (const [file, text] of render(templates, valuesOf(platform, tenant, endpoint))) {
    if (text !== files.get(file)) return { file, why: 'has labels that are not the ones of the tenant' };
  }
  return endpoint;
}

/** What valuesOf was given, but for the tenant. */
function endpointOf(platform: Platform, v: Values): Endpoint | undefined {
  const size = Object.entries(platform.sizes).find(
    ([, { requests, limits }]) =>
      requests.cpu === v.cpuRequest &&
      requests.memory === v.memoryRequest &&
      limits.cpu === v.cpuLimit &&
      limits.memory === v.memoryLimit,
  )?.[0];
  if (!size) return undefined;
  return {
    name: String(v.name),
    modelFormat: String(v.modelFormat),
    storageUri: String(v.storageUri),
    size,
    minReplicas: Number(v.minReplicas),
    maxReplicas: Number(v.maxReplicas),
  };
}
