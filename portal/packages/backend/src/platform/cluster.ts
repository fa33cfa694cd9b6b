import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';

const account = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Bytes of an answer of the API server, at most. */
const longest = 16 << 20;

export type KubernetesObject = {
  metadata: {
    name: string;
    namespace: string;
    generation?: number;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    creationTimestamp?: string;
    deletionTimestamp?: string;
  };
  spec?: any;
  status?: any;
};

/** Reads objects of the cluster that the portal runs in, as its service account. */
export class Cluster {
  /** The objects of a list or the object at a path of the API. */
  async get<T>(path: string): Promise<T> {
    const found = await this.find<T>(path);
    if (found === undefined) throw new Error(`The API server has nothing at ${path}`);
    return found;
  }

  /** The object at a path of the API; undefined if there is none. */
  async find<T>(path: string, seconds = 10): Promise<T | undefined> {
    const [token, ca] = await Promise.all([
      readFile(join(account, 'token'), 'utf8'),
      readFile(join(account, 'ca.crt')),
    ]);
    const { status, body } = await ask(path, token.trim(), ca, seconds);
    if (status === 404) return undefined;
    if (status !== 200) throw new Error(`The API server answers ${status} to ${path}: ${body.slice(0, 300)}`);
    return JSON.parse(body);
  }

  async list(path: string): Promise<KubernetesObject[]> {
    return (await this.get<{ items: KubernetesObject[] }>(path)).items;
  }
}

function ask(path: string, token: string, ca: Buffer, seconds: number): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const req = request(
      {
        host: process.env.KUBERNETES_SERVICE_HOST,
        port: process.env.KUBERNETES_SERVICE_PORT,
        path,
        ca,
        headers: { Authorization: `Bearer ${token}`, Accept: 'application/json' },
        timeout: seconds * 1000,
      },
      response => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size > longest) req.destroy(new Error(`The API server's answer to ${path} is over ${longest} bytes`));
          parts.push(part);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString('utf8') }),
        );
        response.on('error', reject);
      },
    );
    req.on('timeout', () => req.destroy(new Error(`The API server does not answer ${path} within ${seconds} s`)));
    req.on('error', reject);
    req.end();
  });
}
