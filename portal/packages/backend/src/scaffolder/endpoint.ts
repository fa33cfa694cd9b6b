import type { Platform, Tenant } from '../platform/platform';
import type { Values } from './skeleton';

/** An endpoint that somebody asks for; what the form gives, once it is checked. */
export type Endpoint = {
  name: string;
  modelFormat: string;
  storageUri: string;
  size: string;
  minReplicas: number;
  maxReplicas: number;
};

/** A field of the form that cannot be as it is, and what to write. */
export type Problem = { field: keyof Endpoint; message: string };

/**
 * Everything about an endpoint that its tenant may not have: what
 * `neuroscale new endpoint` refuses, by the rules that the program wrote.
 */
export function problemsOf(platform: Platform, tenant: Tenant, e: Endpoint): Problem[] {
  const problems: Problem[] = [];
  const refuse = (field: keyof Endpoint, message: string) => problems.push({ field, message });
  const { name, formats } = platform.rules;
  if (e.name.length > name.maxLength) {
    refuse('name', `has ${e.name.length} characters: write at most ${name.maxLength}`);
  } else if (!matches(name.pattern, e.name)) {
    refuse('name', 'is no name: write small letters, digits and -, beginning with a letter and ending with a letter or digit');
  } else if (tenant.excluded.some(each => glob(each).test(e.name))) {
    refuse('name', "is the platform's or another tenant's: write another one");
  }
  if (!formats.includes(e.modelFormat)) refuse('modelFormat', `is unknown: write ${formats.join(' or ')}`);
  const uri = problemOfUri(platform, tenant, e.storageUri);
  if (uri) refuse('storageUri', uri);
  if (!Object.hasOwn(platform.sizes, e.size)) {
    refuse('size', `is unknown: write ${Object.keys(platform.sizes).join(' or ')}`);
  } else if (!tenant.sizes.includes(e.size)) {
    refuse('size', `is more than a container of tenant ${tenant.namespace} may have: write ${tenant.sizes.join(' or ') || 'nothing yet, but have its limits changed'}`);
  }
  const { min, max } = tenant.replicas;
  if (!Number.isInteger(e.minReplicas) || e.minReplicas < min) {
    refuse('minReplicas', `is too few: write a whole number, at least ${min}`);
  }
  if (!Number.isInteger(e.maxReplicas) || e.maxReplicas < Math.max(e.minReplicas, 1)) {
    refuse('maxReplicas', `is too few: write a whole number, at least ${Math.max(e.minReplicas, 1)}`);
  }
  if (e.maxReplicas > max) {
    refuse('maxReplicas', `is too many: write at most ${max}, the pods that tenant ${tenant.namespace} may have`);
  }
  return problems;
}

function problemOfUri(platform: Platform, tenant: Tenant, uri: string): string | undefined {
  const { pattern, maxLength, schemes } = platform.rules.storageUri;
  if (!uri) return 'is missing: write where the model is, such as gs://my-bucket/models/iris';
  if (uri.length > maxLength) return `has ${uri.length} characters: write at most ${maxLength}`;
  if (/[?#]/.test(uri)) return 'has a query or a fragment: write it without, everybody reads what is in Git';
  if (!matches(pattern, uri)) return 'has characters that a URI of a model cannot have: write %20 for a space';
  const [, scheme, authority, path] = /^([^:]*):\/\/([^/]*)(.*)$/.exec(uri) ?? [];
  if (!schemes.includes(scheme)) return `cannot be fetched: write ${schemes.join('://, ')}:// and where the model is`;
  if (authority.includes('@')) return 'has a user in it: write it without, everybody reads what is in Git';
  const percent = /%(?![0-9A-Fa-f]{2})/;
  if (percent.test(path) || /%/.test(authority)) return 'has a % that means no character: write %25 for one';
  if (decodeURIComponentOrSame(path).split('/').some(part => part === '.' || part === '..')) {
    return 'goes up or nowhere with a . or ..: write the path itself';
  }
  const [host, ...rest] = authority.split(':');
  if (rest.length > 1) return 'is no URI: write it with one port at most';
  if (!host || (['https', 'hf'].includes(scheme) && !/[^/]/.test(decodeURIComponentOrSame(path)))) {
    return `does not say what to fetch: write ${scheme}://, a bucket or host, / and a path`;
  }
  if (rest.length === 1 && rest[0] !== '' && scheme !== 'https') return 'has a port: write the name of the bucket alone';
  if (rest.length === 1 && !/^[0-9]*$/.test(rest[0])) return 'has no port behind the :';
  const port = rest[0] ? Number(rest[0]) : 443;
  if (!tenant.ports.includes(port)) {
    return `is at port ${port}, where the network lets no pod of tenant ${tenant.namespace}: write one at port ${tenant.ports.join(' or ')}`;
  }
  return undefined;
}

function decodeURIComponentOrSame(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function matches(pattern: string, text: string): boolean {
  return new RegExp(pattern).test(text);
}

function glob(pattern: string): RegExp {
  return new RegExp(`^${pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '[^/]*')}$`);
}

/** What the templates of an endpoint are filled with. */
export function valuesOf(platform: Platform, tenant: Tenant, e: Endpoint): Values {
  const { requests, limits } = platform.sizes[e.size];
  return {
    name: e.name,
    owner: tenant.owner,
    costCenter: tenant.costCenter,
    modelFormat: e.modelFormat,
    storageUri: e.storageUri,
    minReplicas: e.minReplicas,
    maxReplicas: e.maxReplicas,
    cpuRequest: requests.cpu,
    memoryRequest: requests.memory,
    cpuLimit: limits.cpu,
    memoryLimit: limits.memory,
  };
}
