import { useApi } from '@backstage/core-plugin-api';
import { useEntity } from '@backstage/plugin-catalog-react';
import { useEffect, useState } from 'react';
import { ANNOTATION_ENDPOINT, ANNOTATION_FOLDER } from './annotations';
import { endpointsApiRef, Facts, LastChange } from './client';

/** Milliseconds between looks at an endpoint. */
const often = 4000;
const seldom = 15_000;

/** The endpoint of a Component's page. */
export function useEndpoint(): { id: string; tenant: string; name: string; folder?: string } {
  const annotations = useEntity().entity.metadata.annotations ?? {};
  const id = annotations[ANNOTATION_ENDPOINT] ?? '';
  const [tenant, name] = id.split('/');
  return { id, tenant, name, folder: annotations[ANNOTATION_FOLDER] };
}

/** How an endpoint is, looked at again and again; the last that was known while it cannot be asked. */
export function useFacts(id: string): { facts?: Facts; error?: Error } {
  const client = useApi(endpointsApiRef);
  const [state, setState] = useState<{ facts?: Facts; error?: Error }>({});
  useEffect(() => {
    let gone = false;
    let timer: ReturnType<typeof setTimeout>;
    const look = () => {
      client
        .facts(id)
        .then(
          facts => ({ facts, error: undefined }),
          error => ({ error }),
        )
        .then((found: { facts?: Facts; error?: Error }) => {
          if (gone) return;
          setState(before => ({ ...before, ...found }));
          timer = setTimeout(look, found.facts?.well ? seldom : often);
        });
    };
    setState({});
    look();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [client, id]);
  return state;
}

/** Who changed an endpoint last, or why nobody knows; asked again when Argo CD has another commit. */
export function useLastChange(id: string, commit?: string): { change?: LastChange; error?: Error } {
  const client = useApi(endpointsApiRef);
  const [state, setState] = useState<{ change?: LastChange; error?: Error }>({});
  useEffect(() => {
    let gone = false;
    client.lastChange(id).then(
      change => !gone && setState({ change }),
      error => !gone && setState({ error }),
    );
    return () => {
      gone = true;
    };
  }, [client, id, commit]);
  return state;
}
