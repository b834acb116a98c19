// SPDX-License-Identifier: Apache-2.0
// What stands around every request: bodies in JSON, Auth0's status codes, faults, and the log.
import { sha256, instead, onTheWay, words } from './faults.mjs';
import { asAuth0Says } from './approval.mjs';
import { apisOf } from './resources.mjs';

const FORM = 'application/x-www-form-urlencoded';
const RESOURCE_METADATA = '/.well-known/oauth-protected-resource';
const BODY_BYTES_MAX = 1 << 16;
const SENT = { lost: 'none', half: 'half', body: 'replaced' };  // what leaves of the answer

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > BODY_BYTES_MAX) throw new Error('the body is too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function parse(text, type) {
  if (!text) return {};
  if (type.includes('json')) {
    try { return JSON.parse(text); } catch { return {}; }
  }
  const fields = {};
  for (const [name, value] of new URLSearchParams(text)) {
    fields[name] = name in fields ? [fields[name], value].flat() : value;
  }
  return fields;
}

// Auth0 takes JSON as well as forms, `audience` for `resource`, and a secret in either place.
function translate(ctx, world, fields) {
  const isToken = ctx.path.startsWith('/oauth/') || ctx.path === '/bc-authorize';
  if (ctx.path.startsWith('/oauth/') && ctx.is('json')) ctx.request.headers['content-type'] = FORM;
  const isExchange = String(fields.grant_type ?? '').includes(':token-exchange');
  if (fields.audience && !fields.resource && !isExchange && isToken) fields.resource = fields.audience;
  const [scheme, value] = ctx.get('authorization').split(' ');
  if (isToken && scheme === 'Basic' && value) {
    const [id, secret] = Buffer.from(value, 'base64').toString().split(':').map(decodeURIComponent);
    if (world.store.clients.get(id)?.token_endpoint_auth_method === 'client_secret_post') {
      delete ctx.request.headers.authorization;
      Object.assign(fields, { client_id: id, client_secret: secret });
    }
  } else if (isToken && fields.client_secret && fields.client_id
    && world.store.clients.get(fields.client_id)?.token_endpoint_auth_method === 'client_secret_basic') {
    const pair = `${encodeURIComponent(fields.client_id)}:${encodeURIComponent(fields.client_secret)}`;
    ctx.request.headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    delete fields.client_secret;
    delete fields.client_id;
  }
  if (ctx.path === '/oauth/par') Object.assign(fields, asAuthorization(fields));
  ctx.req.body = fields;
  if (ctx.method === 'GET' && ctx.path === '/authorize') ctx.query = { ...ctx.query, ...asAuthorization(ctx.query) };
}

// Auth0 knows an audience, and gives refresh tokens without being told to ask for consent.
function asAuthorization({ audience, resource, scope, prompt }) {
  return { ...(audience && !resource ? { resource: audience } : {}),
    ...(words(scope).includes('offline_access') && !prompt ? { prompt: 'consent' } : {}) };
}

// The same refusals under the status and words that Auth0 uses for them.
function asAuth0(ctx, fields) {
  const { body } = ctx;
  if (ctx.path !== '/oauth/token' || !body) return;
  if (body.refresh_token && body.refresh_token === fields.refresh_token) delete body.refresh_token;
  if (!body.error) return;
  if (body.error_description === 'requested grant type is not allowed for this client') {
    ctx.status = 403;
    Object.assign(body, { error: 'unauthorized_client',
      error_description: `Grant type '${fields.grant_type}' not allowed for the client.` });
  } else if (body.error === 'invalid_grant' && fields.grant_type === 'refresh_token') {
    ctx.status = 403;
    body.error_description = 'Unknown or invalid refresh token.';
  } else if (['invalid_grant', 'authorization_pending', 'access_denied', 'expired_token'].includes(body.error)
    && ctx.status === 400 && !String(fields.grant_type).includes('ciba')) {
    ctx.status = 403;
  }
}

function slowDown(ctx, world, fields) {
  if (!String(fields.grant_type).endsWith(':device_code') || ctx.body?.error !== 'authorization_pending') return;
  const last = world.polls.get(fields.device_code);
  world.polls.set(fields.device_code, Date.now());
  if (last === undefined || Date.now() - last >= (world.tenant.device_interval ?? 5) * 1000) return;
  ctx.status = world.tenant.profile === 'auth0' ? 429 : 400;
  ctx.body = { error: 'slow_down', error_description: 'You are polling faster than the specified interval.' };
}

function issuedIn(body, fields, isVault) {
  const until = Number(body.expires_in) ? Math.floor(Date.now() / 1000) + Number(body.expires_in) : null;
  return ['access_token', 'refresh_token', 'id_token']
    .filter((kind) => typeof body[kind] === 'string' && body[kind] !== fields[kind])
    .map((kind) => ({ kind: isVault ? 'provider_token' : kind, sha256: sha256(body[kind]),
      expires_at: kind === 'access_token' ? until : null }));
}

const KINDS = { AccessToken: 'access_token', RefreshToken: 'refresh_token', ClientCredentials: 'access_token' };
const hashed = (taken) => taken.map(({ kind, value }) => ({ kind: KINDS[kind], sha256: sha256(value) }));

function entryOf(ctx, fields, fault, sent, dropped) {
  const body = ctx.state.minted;
  const taken = hashed(dropped);
  const isRevocation = ctx.path === '/oauth/revoke';
  const entry = {
    method: ctx.method, host: ctx.hostname, path: ctx.path, status: ctx.state.status, grant: fields.grant_type ?? null,
    client: ctx.oidc?.client?.clientId ?? ctx.state.client ?? null,
    user: ctx.oidc?.entities?.Account?.accountId ?? null,
    asked: fields.scope === undefined ? null : words(fields.scope),
    returned: ctx.state.returned ?? (body?.access_token && body.scope !== undefined ? words(body.scope) : null),
    issued: body?.access_token || body?.refresh_token ? issuedIn(body, fields, ctx.state.note?.variant) : [],
    subject: fields.subject_token ?? fields.refresh_token ? sha256(fields.subject_token ?? fields.refresh_token) : null,
    revoked: taken, error: body?.error ?? null, reason: ctx.state.refusal?.error_detail ?? null,
    fault: fault?.fault ?? null, sent, ...ctx.state.note };
  if (isRevocation && ctx.state.status === 200) {
    const token = { sha256: sha256(fields.token ?? ''), asked: true };
    const known = taken.find((each) => each.sha256 === token.sha256);
    if (known) known.asked = true;
    else taken.push({ kind: 'unknown', ...token });
  }
  if (ctx.state.note?.variant) entry.tenant_log = tenantLog(ctx, entry, fields);
  return entry;
}

// What a tenant's log says of an exchange at the vault.
function tenantLog(ctx, entry, fields) {
  if (entry.issued.length === 0) {
    const reason = ctx.state.refusal?.more?.failure_reason ?? 'unknown';
    return { type: 'feta', details: { failure_reason: reason, audit_context: entry.audit_context } };
  }
  return { type: 'seta', details: {
    subject_token_type: fields.subject_token_type, issued_token_type: fields.requested_token_type,
    scope: entry.returned.join(' '), expires_at: entry.issued[0].expires_at, audit_context: entry.audit_context,
    is_privileged_worker: fields.subject_token_type.endsWith(':jwt'), token_thumbprint: entry.issued[0].sha256 } };
}

async function interact(ctx, world) {
  const { provider, tenant } = world;
  const { params } = await provider.interactionDetails(ctx.req, ctx.res);
  const result = tenant.deny ? { error: 'access_denied', error_description: 'End-User aborted interaction' }
    : { login: { accountId: params.login_hint ?? tenant.user }, consent: {} };
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
}

// RFC 9728: for any resource below this host, which issuer gives tokens for it.
function describeResource(ctx, world) {
  const resource = `${new URL(world.issuer).origin}${ctx.path.slice(RESOURCE_METADATA.length)}`;
  const api = apisOf(world.tenant, world.issuer)[resource];
  ctx.body = { resource, authorization_servers: [world.issuer], bearer_methods_supported: ['header'],
    ...(api ? { scopes_supported: api.scopes } : {}) };
}

// Success now, effect later: the provider answers at once and takes the token away when the time has come.
function revokeLater(ctx, world, fields, fault) {
  setTimeout(() => world.store.during(async (taken) => {
    const { provider } = world;
    const token = await provider.RefreshToken.find(fields.token) ?? await provider.AccessToken.find(fields.token);
    await token?.destroy();
    world.log.add({ method: null, path: '/oauth/revoke', status: null, issued: [], revoked: hashed(taken),
      error: null, fault: 'later' });
  }), (fault.seconds ?? 1) * 1000);
  ctx.status = 200;
  ctx.body = '';
}

export function serve(world) {
  world.polls = new Map();
  return (ctx, next) => world.store.during(async (taken) => {
    const fields = ctx.method === 'GET' ? {} : parse(await readBody(ctx.req), ctx.get('content-type'));
    const asked = { ...fields };
    const fault = world.faults.take(ctx.method, ctx.path, fields);
    ctx.state.fault = fault;
    ctx.state.fields = fields;
    let sent = 'whole';
    if (await instead(ctx, fault)) {
      sent = ctx.respond === false ? 'none' : 'whole';
    } else if (fault?.fault === 'later') {
      revokeLater(ctx, world, fields, fault);
    } else if (ctx.path.startsWith('/interaction/')) {
      await interact(ctx, world);
    } else if (ctx.path.startsWith(RESOURCE_METADATA)) {
      describeResource(ctx, world);
    } else if (!await world.accountApi.answer(ctx, fields)) {
      translate(ctx, world, fields);
      await next();
      if (ctx.state.refusal?.more?.mfa_token) ctx.body.mfa_token = ctx.state.refusal.more.mfa_token;
      if (world.tenant.profile === 'auth0') {
        asAuth0(ctx, asked);
        asAuth0Says(ctx, world, asked);
      }
      slowDown(ctx, world, asked);
      if (fault?.fault === 'wider' && ctx.body?.scope !== undefined) {
        ctx.body.scope = [...new Set([...words(ctx.body.scope), ...fault.scopes])].join(' ');
      }
    }
    ctx.state.minted = typeof ctx.body === 'object' && !Buffer.isBuffer(ctx.body) ? ctx.body : null;
    ctx.state.status = ctx.status;
    if (ctx.respond !== false) sent = SENT[fault?.fault] ?? 'whole';
    world.log.add(entryOf(ctx, asked, fault, sent, taken));
    if (fault?.fault === 'closed') ctx.req.socket.destroy();
    else await onTheWay(ctx, fault);
  });
}
