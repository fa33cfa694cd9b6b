import { Config } from '@backstage/config';
import type { Site } from '../forge/forge';

/** A range of numbers, both ends included. */
export type Range = { min: number; max: number };

/** What the server of a model asks for and may use at most, as Kubernetes quantities. */
export type Size = {
  requests: { cpu: string; memory: string };
  limits: { cpu: string; memory: string };
};

/** A tenant, and what of its configuration bounds an endpoint. */
export type Tenant = {
  namespace: string;
  owner: string;
  costCenter: string;
  repository: string;
  members: string[];
  /** Names, as glob patterns with * alone, that are not the tenant's to take. */
  excluded: string[];
  /** Sizes of an endpoint that the tenant's limits admit. */
  sizes: string[];
  /** TCP ports at which pods of the tenant reach a store of models. */
  ports: number[];
  /** How many replicas an endpoint may have. */
  replicas: Range;
};

/** What the platform's program writes for the portal, under the key neuroscale. */
export type Platform = {
  /** Where people reach the gateway, and where the portal does: the first may be no address of a pod's. */
  gatewayUrl: string;
  gatewayInternalUrl: string;
  forge: Site;
  rules: Rules;
  sizes: Record<string, Size>;
  prices: Prices;
  tenants: Tenant[];
  /** Folder with the files of an endpoint, as templates. */
  skeleton: string;
};

/** What an endpoint may be, whoever's it is. Patterns are JavaScript's. */
export type Rules = {
  name: { pattern: string; maxLength: number };
  storageUri: { pattern: string; maxLength: number; schemes: string[] };
  formats: string[];
};

/** What one replica of each size costs in a month. */
export type Prices = { currency: string; monthly: Record<string, number> };

export function readPlatform(config: Config): Platform {
  const at = config.getConfig('neuroscale');
  return {
    gatewayUrl: at.getString('gatewayUrl'),
    gatewayInternalUrl: at.getString('gatewayInternalUrl'),
    forge: at.get<Site>('forge'),
    rules: at.get<Rules>('rules'),
    sizes: at.get<Record<string, Size>>('sizes'),
    prices: at.get<Prices>('prices'),
    tenants: at.get<Tenant[]>('tenants'),
    skeleton: at.getString('skeleton'),
  };
}
