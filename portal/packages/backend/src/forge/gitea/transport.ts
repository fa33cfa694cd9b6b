import { HttpClient } from 'isomorphic-git';
import { request } from 'isomorphic-git/http/node';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

/** Milliseconds that the forge may think. Node's own agents give up after five seconds. */
const timeout = 60_000;

const agents = { 'http:': new HttpAgent({ timeout }), 'https:': new HttpsAgent({ timeout }) };

/** What Git's requests are sent by. */
export const http: HttpClient = {
  request: r => request({ ...r, agent: agents[new URL(r.url).protocol as keyof typeof agents] }),
};
