// SPDX-License-Identifier: Apache-2.0
// The log of the provider and the faults that a test scripts. Both are described in ../README.md; the doubles in Python
// have the same in ../base.py.
import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');
export const words = (text) => String(text ?? '').split(/[\s,]+/).filter(Boolean);

export class Log {
  constructor(file) {
    this.file = file;
    this.count = 0;
  }

  // Appended before the answer leaves, so that what a client knows is in the log.
  add(entry) {
    const line = { seq: this.count, time: Date.now() / 1000, provider: 'auth0', ...entry };
    this.count += 1;
    appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }
}

export class Faults {
  constructor() {
    this.waiting = [];
  }

  add(fault) {
    this.waiting.push({ times: 1, skip: 0, ...fault, all: fault.times ?? 1, held: [] });
  }

  clear() {
    this.waiting = [];
  }

  // At most one fault a request: the first that fits.
  take(method, path, parameters) {
    for (const fault of this.waiting) {
      if (fault.path && !path.startsWith(fault.path)) continue;
      if (fault.method && fault.method !== method) continue;
      if (fault.grant && !String(parameters.grant_type ?? '').endsWith(fault.grant)) continue;
      if (fault.skip > 0) { fault.skip -= 1; continue; }
      if (fault.times > 0) {
        fault.times -= 1;
        if (fault.times === 0) this.waiting.splice(this.waiting.indexOf(fault), 1);
      }
      return fault;
    }
    return undefined;
  }
}

export function rateHeaders(fault) {
  const seconds = fault.seconds ?? 1;
  const reset = Math.ceil(Date.now() / 1000) + seconds;
  switch (fault.form ?? 'seconds') {
    case 'seconds': return { 'Retry-After': String(seconds) };
    case 'date': return { 'Retry-After': new Date(reset * 1000).toUTCString() };
    case 'reset':
      return { 'X-RateLimit-Limit': '30', 'X-RateLimit-Remaining': '0', 'X-RateLimit-Reset': String(reset) };
    case 'draft': return { 'RateLimit-Limit': '30', 'RateLimit-Remaining': '0', 'RateLimit-Reset': String(seconds) };
    case 'field': return { RateLimit: `"default";r=0;t=${seconds}`, 'RateLimit-Policy': '"default";q=30;w=60' };
    case 'garbage': return { 'Retry-After': 'soon' };
    case 'none': return {};
    default: throw new Error(`no form of a rate limit: ${fault.form}`);
  }
}

// Faults that come instead of an answer to the request: nothing was minted. True: the request is done with.
export async function instead(ctx, fault) {
  switch (fault?.fault) {
    case 'slow': await wait((fault.seconds ?? 1) * 1000); return false;
    case 'closed': ctx.respond = false; return true;
    case 'rate_limited':
      ctx.status = fault.status ?? 429;
      ctx.set(rateHeaders(fault));
      ctx.body = { error: 'too_many_requests', error_description: 'Global limit has been reached' };
      return true;
    case 'status':
      ctx.status = fault.status ?? 503;
      ctx.body = fault.body ?? { error: 'temporarily_unavailable' };
      if (fault.content_type) ctx.type = fault.content_type;
      ctx.set(fault.headers ?? {});
      return true;
    default: return false;
  }
}

// Faults of the answer on its way: whatever was minted is minted.
export async function onTheWay(ctx, fault) {
  const body = () => Buffer.from(typeof ctx.body === 'string' ? ctx.body : JSON.stringify(ctx.body ?? ''));
  const as = (content, type) => { ctx.body = content; ctx.type = type; };
  switch (fault?.fault) {
    case 'lost': ctx.respond = false; ctx.req.socket.destroy(); break;
    case 'half': {
      const whole = body();
      ctx.respond = false;
      ctx.res.writeHead(ctx.status, { 'Content-Type': 'application/json', 'Content-Length': whole.length });
      ctx.res.write(whole.subarray(0, whole.length / 2), () => ctx.req.socket.end());
      break;
    }
    case 'trickle': trickle(ctx, body(), fault); break;
    case 'slow_answer': await wait((fault.seconds ?? 1) * 1000); break;
    case 'together': await together(fault); break;
    case 'wrong_type': as(body(), fault.content_type ?? 'text/html'); break;
    case 'gzip': as(gzipSync(body()), 'json'); ctx.set('Content-Encoding', 'gzip'); break;
    case 'skew': ctx.set('Date', new Date(Date.now() + fault.seconds * 1000).toUTCString()); break;
    case 'twice': ctx.set(fault.header, [fault.value ?? 'a', fault.other ?? 'b']); break;
    case 'large': ctx.body = { ...ctx.body, padding: 'x'.repeat(fault.bytes ?? 1 << 20) }; break;
    case 'hang_up': ctx.set('Connection', 'close'); break;
    case 'fields': ctx.body = changed({ ...ctx.body, ...fault.fields }); break;
    case 'body':
      as(fault.body, fault.content_type ?? 'application/json');
      ctx.status = fault.status ?? 200;
      break;
    default:
  }
}

// Until all the requests that take the fault are here.
function together(fault) {
  return new Promise((go) => {
    fault.held.push(go);
    if (fault.held.length === fault.all) fault.held.forEach((each) => each());
  });
}

// A field set to null is left out.
const changed = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));

async function trickle(ctx, whole, fault) {
  ctx.respond = false;
  ctx.res.writeHead(ctx.status, { 'Content-Type': 'application/json', 'Content-Length': whole.length });
  for (const byte of whole) {
    if (ctx.res.destroyed) return;
    ctx.res.write(Buffer.of(byte));
    await wait((fault.seconds ?? 0.05) * 1000);
  }
  ctx.res.end();
}

export function tokenOf(prefix, length) {
  const random = randomBytes(Math.ceil((length ?? 60) * 0.75) + 1).toString('base64url');
  return length ? (prefix + random).slice(0, length) : prefix + random.slice(0, 60);
}
