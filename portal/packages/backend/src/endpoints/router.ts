import { ConflictError, InputError, NotFoundError, ServiceUnavailableError } from '@backstage/errors';
import type { Request as HttpRequest, Router as HttpRouter } from 'express';
import Router from 'express-promise-router';
import type { LastChange } from '../forge/forge';
import { applicationOf } from '../platform/application.ts';
import type { KubernetesObject } from '../platform/cluster';
import { tenantOf } from '../platform/membership.ts';
import type { Platform } from '../platform/platform';
import { ask, limits, textOf, type Gateway } from './ask.ts';
import { factsOf } from './facts.ts';
import { requestOf } from './request.ts';

/** The header with a person's token for the forge. */
export const tokenHeader = 'forge-token';

/** Who asks, and what they belong to. */
export type Person = { ref: string; ownership: string[] };

export type Options = {
  platform: Platform;
  gateway: Gateway;
  /** An object at a path of the API server; undefined if there is none. */
  find(path: string): Promise<KubernetesObject | undefined>;
  /** An error if nobody has signed in. */
  personOf(req: HttpRequest): Promise<Person>;
  lastChange(token: string, repository: string, path: string): Promise<LastChange | undefined>;
  warn(message: string): void;
};

const nameOfObject = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/;

/** What the page of an endpoint asks for. Only members of its tenant get an answer. */
export function routerOf({ platform, gateway, find, personOf, lastChange, warn }: Options): HttpRouter {
  const router = Router();
  /** People whose try is on its way. */
  const trying = new Set<string>();

  /** The endpoint that a request is about, after a look at who asks. */
  async function endpointOf(req: HttpRequest): Promise<{ service: KubernetesObject; person: Person }> {
    const person = await personOf(req);
    const { namespace } = tenantOf(platform, req.params.namespace, person.ownership);
    const { name } = req.params;
    const service = nameOfObject.test(name)
      ? await find(`/apis/serving.kserve.io/v1beta1/namespaces/${namespace}/inferenceservices/${name}`)
      : undefined;
    if (!service) throw new NotFoundError(`Tenant ${namespace} has no endpoint ${name}`);
    return { service, person };
  }

  /** The Application that makes an endpoint; never one of another namespace. */
  async function applicationFor(service: KubernetesObject): Promise<KubernetesObject | undefined> {
    const name = applicationOf(service);
    if (!name || !nameOfObject.test(name)) return undefined;
    const found = await find(`/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/${name}`);
    return found?.spec?.destination?.namespace === service.metadata.namespace ? found : undefined;
  }

  async function revisionFor(service: KubernetesObject): Promise<KubernetesObject | undefined> {
    const name = service.status?.components?.predictor?.latestReadyRevision;
    if (!name || !nameOfObject.test(name)) return undefined;
    return find(`/apis/serving.knative.dev/v1/namespaces/${service.metadata.namespace}/revisions/${name}`);
  }

  router.get('/:namespace/:name', async (req, res) => {
    const { service } = await endpointOf(req);
    // A page without one of these is better than none.
    const orNothing = (error: Error) => {
      warn(`The page of ${service.metadata.name} lacks something: ${error.message}`);
      return undefined;
    };
    const [application, revision] = await Promise.all([
      applicationFor(service).catch(orNothing),
      revisionFor(service).catch(orNothing),
    ]);
    res.json(factsOf(platform, gateway.key !== '', { service, application, revision }));
  });

  router.get('/:namespace/:name/last-change', async (req, res) => {
    const { service } = await endpointOf(req);
    const token = req.header(tokenHeader);
    const source = (await applicationFor(service))?.spec?.source;
    const repository = /\/([^/]+)\.git$/.exec(source?.repoURL ?? '')?.[1];
    if (!token || !repository || !source.path) {
      res.json(null);
      return;
    }
    const change = await lastChange(token, repository, source.path).catch(error => {
      // Of other errors the person would not be told.
      throw new ServiceUnavailableError(error.message);
    });
    res.json(change ?? null);
  });

  router.post('/:namespace/:name/predict', async (req, res) => {
    const { service, person } = await endpointOf(req);
    const { text, more } = await textOf(req, limits.question);
    if (more) throw new InputError(`The question is over ${limits.question >> 10} KiB: ask with curl`);
    if (!isJson(text)) throw new InputError('The question is no JSON: write an object such as {"instances": [[1, 2]]}');
    const request = requestOf(service);
    if (!request) throw new ConflictError('The endpoint has no URL yet: try again in a moment');
    if (trying.has(person.ref)) throw new ConflictError('You are trying an endpoint already: wait for its answer');
    trying.add(person.ref);
    try {
      res.json(await ask(gateway, request, text));
    } catch (error) {
      throw new ServiceUnavailableError(
        (error as Error).name === 'TimeoutError' || (error as Error).name === 'AbortError'
          ? `There was no answer within ${limits.seconds} s`
          : `The gateway does not answer: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`,
      );
    } finally {
      trying.delete(person.ref);
    }
  });

  return router;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
