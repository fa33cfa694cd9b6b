import type { KubernetesObject } from '../platform/cluster';

/** What a controller says about a part of an endpoint; well is undefined while it has not said. */
export type Condition = { what: string; well?: boolean; words: string };

/** What is so if a condition holds. Ready is the endpoint's own, and is not among its parts. */
const meaning: Record<string, string> = {
  PredictorReady: 'The model is served',
  PredictorConfigurationReady: 'Its newest version runs',
  LatestDeploymentReady: 'The newest version is used',
  PredictorRouteReady: 'Requests reach the model',
  RoutesReady: 'Requests reach every part',
  IngressReady: 'Its URL leads to it',
  TransformerReady: 'The transformer is served',
  ExplainerReady: 'The explainer is served',
};

/** What explains best why an endpoint does not serve: these, the first that says something. */
const causes = ['PredictorReady', 'TransformerReady', 'ExplainerReady'];

/** Characters of a message, at most: some have a whole log in them. */
const longest = 1000;

type Raw = { type: string; status: string; reason?: string; message?: string; severity?: string; lastTransitionTime?: string };

function raw(object: KubernetesObject): Raw[] {
  return object.status?.conditions ?? [];
}

/** The conditions of an endpoint in words, but for the one that sums them up. */
export function conditionsOf(service: KubernetesObject): Condition[] {
  return raw(service)
    .filter(each => each.type !== 'Ready' && each.severity !== 'Info')
    .map(each => ({
      what: meaning[each.type] ?? spelled(each.type),
      well: each.status === 'Unknown' ? undefined : each.status === 'True',
      words: each.status === 'True' ? '' : saysOf(each),
    }));
}

function saysOf(condition: Raw): string {
  const said = cut(condition.message ?? '');
  if (said) return said;
  if (condition.reason) return spelled(condition.reason);
  return condition.status === 'Unknown' ? 'Nobody has said yet' : 'Nobody says why';
}

/** RevisionMissing as words. */
function spelled(name: string): string {
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function cut(text: string): string {
  const trimmed = text.trim();
  return trimmed.length > longest ? `${trimmed.slice(0, longest)}…` : trimmed;
}

/** Whether an endpoint answers, and if not, why, in a sentence. */
export function wellbeingOf(service: KubernetesObject): { well: boolean; words: string; since?: string } {
  const conditions = raw(service);
  const ready = conditions.find(each => each.type === 'Ready');
  const since = ready?.lastTransitionTime;
  if (service.metadata.deletionTimestamp) return { well: false, words: 'It is being removed' };
  if (conditions.some(each => each.type === 'Stopped' && each.status === 'True')) {
    return { well: false, words: 'It was stopped', since };
  }
  if (ready?.status === 'True') {
    return { well: true, words: newerThanReady(service) ? 'It answers, but its newest version does not yet' : 'It answers', since };
  }
  const failing = conditions.filter(each => each.status !== 'True' && each.severity !== 'Info' && each.message);
  const failure = service.status?.modelStatus?.lastFailureInfo?.message;
  const cause =
    (failure && cut(failure)) ||
    saying(failing.find(each => causes.includes(each.type))) ||
    saying(failing[0]) ||
    (ready?.reason && spelled(ready.reason));
  if (cause) return { well: false, words: cause, since };
  return { well: false, words: ready ? 'It does not answer yet' : 'Nobody has looked at it yet', since };
}

function saying(condition?: Raw): string | undefined {
  return condition && cut(condition.message ?? '');
}

/** The version that answers, and the one that is to. */
export function revisionOf(service: KubernetesObject): string {
  const ready: string | undefined = service.status?.components?.predictor?.latestReadyRevision;
  const newer = newerThanReady(service);
  if (!ready) return newer ? `None yet: ${newer} is on its way` : 'None yet';
  return newer ? `${ready}; ${newer} does not answer yet` : ready;
}

/** The newest version, if it is not the one that answers. */
function newerThanReady(service: KubernetesObject): string | undefined {
  const { latestReadyRevision: ready, latestCreatedRevision: created } = service.status?.components?.predictor ?? {};
  return created && created !== ready ? created : undefined;
}

/** How many replicas run, and how many may. KServe makes one where nothing is said. */
export function replicasOf(service: KubernetesObject, revision?: KubernetesObject): string {
  const { least, most } = boundsOf(service);
  const bounds = most === undefined ? `at least ${least}` : least === most ? `always ${least}` : `${least} to ${most}`;
  const running: number | undefined = revision?.status?.actualReplicas ?? (revision ? 0 : undefined);
  if (running === undefined) return `${bounds} as they are needed`;
  if (running === 0 && least === 0) return `None runs: who asks next waits some seconds (${bounds} as they are needed)`;
  return `${running} of ${bounds}`;
}

/** The replicas an endpoint may have; most is undefined if there is no bound. */
export function boundsOf(service: KubernetesObject): { least: number; most?: number } {
  const { minReplicas = 1, maxReplicas } = service.spec?.predictor ?? {};
  return { least: minReplicas, most: maxReplicas || undefined };
}

/** What Argo CD makes of a folder. */
export type Delivery = { application: string; well: boolean; words: string; message?: string; commit?: string };

const synced: Record<string, string> = {
  Synced: 'as Git says',
  OutOfSync: 'not as Git says',
};

const healthy: Record<string, string> = {
  Healthy: 'well',
  Progressing: 'on its way',
  Degraded: 'not well',
  Suspended: 'suspended',
  Missing: 'not there',
};

/** The state of an Application in words. */
export function deliveryOf(application: KubernetesObject): Delivery {
  const { sync, health, operationState: operation, conditions = [] } = application.status ?? {};
  const error = (conditions as Raw[]).find(each => each.type.endsWith('Error'))?.message;
  const failed = ['Failed', 'Error'].includes(operation?.phase) || operation?.retryCount > 0;
  const message = error ?? (failed ? operation?.message : undefined) ?? (health?.status === 'Healthy' ? undefined : health?.message);
  return {
    application: application.metadata.name,
    well: sync?.status === 'Synced' && health?.status === 'Healthy' && !error,
    words: `${synced[sync?.status] ?? 'nobody knows whether as Git says'}, ${healthy[health?.status] ?? 'nobody knows whether well'}`,
    message: message ? cut(message) : undefined,
    commit: sync?.revision || undefined,
  };
}
