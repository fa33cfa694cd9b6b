import { request as overHttp } from 'node:http';
import { request as overHttps } from 'node:https';
import { isIP } from 'node:net';
import type { Readable } from 'node:stream';
import type { Request } from './request';

/** The most that one try may take. */
export const limits = { question: 64 << 10, answer: 256 << 10, seconds: 60 };

/** What an endpoint answered, and how long that took. Of a long one only the beginning is there. */
export type Answer = { status: number; body: string; cut: boolean; milliseconds: number };

/** The gateway, and the key that it is asked with; empty if it asks for none. */
export type Gateway = { url: string; key: string };

/** Asks an endpoint through the gateway. An endpoint's own name does not resolve, so the gateway shows the certificate of the gateway's. */
export async function ask(gateway: Gateway, { host, path }: Request, body: string, bounds = limits): Promise<Answer> {
  const url = new URL(path, gateway.url);
  const start = performance.now();
  const signal = AbortSignal.timeout(bounds.seconds * 1000);
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    const sent = (url.protocol === 'https:' ? overHttps : overHttp)(
      url,
      {
        method: 'POST',
        signal,
        // Otherwise Node takes the Host header.
        servername: isIP(url.hostname.replace(/[[\]]/g, '')) ? '' : url.hostname,
        headers: {
          Host: host,
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(body),
          ...(gateway.key ? { Authorization: `Bearer ${gateway.key}` } : {}),
        },
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
  const { text, more } = await textOf(response, bounds.answer);
  response.destroy();
  return {
    status: response.statusCode ?? 0,
    // The gateway takes the key off; a model that knew it anyhow must not tell.
    body: gateway.key ? text.replaceAll(gateway.key, '(key)') : text,
    cut: more,
    milliseconds: Math.round((performance.now() - start) * 10) / 10,
  };
}

/** The text of a stream, of a long one so many bytes. */
export async function textOf(stream: Readable, most: number): Promise<{ text: string; more: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  // Who is still sending is to get an answer.
  for await (const part of stream.iterator({ destroyOnReturn: false })) {
    parts.push(part);
    size += part.length;
    if (size > most) break;
  }
  stream.resume();
  return { text: Buffer.concat(parts).subarray(0, most).toString('utf8'), more: size > most };
}
