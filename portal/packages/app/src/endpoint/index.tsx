import { Entity } from '@backstage/catalog-model';
import { discoveryApiRef, fetchApiRef } from '@backstage/core-plugin-api';
import { ApiBlueprint, createFrontendPlugin, FrontendPlugin } from '@backstage/frontend-plugin-api';
import { EntityCardBlueprint } from '@backstage/plugin-catalog-react/alpha';
import { forgeAuthApiRef } from '../forge';
import { ANNOTATION_ENDPOINT } from './annotations';
import { EndpointsClient, endpointsApiRef } from './client';

const isEndpoint = (entity: Entity) => Boolean(entity.metadata.annotations?.[ANNOTATION_ENDPOINT]);

const client = ApiBlueprint.make({
  params: defineParams =>
    defineParams({
      api: endpointsApiRef,
      deps: { discovery: discoveryApiRef, fetch: fetchApiRef, forge: forgeAuthApiRef },
      factory: apis => new EndpointsClient(apis),
    }),
});

const wellbeing = EntityCardBlueprint.make({
  name: 'wellbeing',
  params: { filter: isEndpoint, loader: () => import('./WellbeingCard').then(({ WellbeingCard }) => <WellbeingCard />) },
});

const use = EntityCardBlueprint.make({
  name: 'use',
  params: { filter: isEndpoint, loader: () => import('./UseCard').then(({ UseCard }) => <UseCard />) },
});

const tryIt = EntityCardBlueprint.make({
  name: 'try',
  params: { filter: isEndpoint, loader: () => import('./TryCard').then(({ TryCard }) => <TryCard />) },
});

/** What is on the page of an endpoint. */
export const endpointPlugin: FrontendPlugin = createFrontendPlugin({ pluginId: 'endpoints', extensions: [client, wellbeing, use, tryIt] });
