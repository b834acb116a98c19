// SPDX-License-Identifier: Apache-2.0
// Token Vault of the Auth0 double: connected accounts, and the exchange of an Auth0 token for a provider's.
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { errors } from 'oidc-provider';
import * as jose from 'jose';
import { sha256, tokenOf, words } from './faults.mjs';

export const GRANT = 'urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token';
export const PARAMETERS = ['subject_token', 'subject_token_type', 'requested_token_type', 'connection', 'login_hint',
  'scope', 'audience', 'resource'];
const FEDERATED = 'http://auth0.com/oauth/token-type/federated-connection-access-token';
const WORKER = 'http://auth0.com/oauth/token-type/token-vault-access-token';
const TYPE = 'urn:ietf:params:oauth:token-type:';
const WORKER_AGE_SECONDS = 60;
const SKEW_SECONDS = 10;

export function refuse(status, error, description, more = {}) {
  const refusal = new errors.CustomOIDCProviderError(error, description);
  refusal.status = status;
  refusal.statusCode = status;
  refusal.more = more;
  return refusal;
}

const now = () => Math.floor(Date.now() / 1000);

export class Vault {
  constructor(tenant, issuer, publicKey) {
    Object.assign(this, { tenant, issuer, publicKey });
    this.connections = new Map();
    this.accounts = new Map();   // id → what one user connected
    this.tokens = new Map();     // SHA-256 → provider token that was handed out
    this.seen = new Map();       // jti of a worker's token → until when it is remembered
  }

  addConnection(name, more) {
    this.connections.set(name, {
      name, narrowing: 'honoured', ttl: 3600, prefix: '', token_length: null, clients: null, answer: {}, upstream: null,
      cache_narrowed: true, ...more });
  }

  connect(user, connection, scopes, more = {}) {
    const id = `cac_${tokenOf('', 16).replace(/[-_]/g, 'x')}`;
    const account = { id, user, connection, scopes: words(scopes.join?.(' ') ?? scopes), login: user, cached: new Map(),
      refreshable: true, created_at: new Date().toISOString(), upstream_refresh_token: null, ...more };
    this.accounts.set(id, account);
    return account;
  }

  accountsOf(user) {
    return [...this.accounts.values()].filter((account) => account.user === user);
  }

  // ---- who asks for whom -------------------------------------------------------------------------------------------
  async subject(ctx, provider) {
    const { params, client } = ctx.oidc;
    switch (params.subject_token_type) {
      case `${TYPE}refresh_token`: return { user: await this.byRefreshToken(params, client, provider) };
      case `${TYPE}access_token`: return { user: await this.byAccessToken(params, client) };
      case `${TYPE}jwt`: return this.byWorkerToken(ctx, params, client);
      default: throw refuse(400, 'invalid_request', 'subject_token_type is not supported');
    }
  }

  async byRefreshToken(params, client, provider) {
    if (client.refresh_token?.rotation_type === 'rotating') {
      throw refuse(403, 'access_denied', 'Refresh token rotation must be off for this grant.');
    }
    const token = await provider.RefreshToken.find(params.subject_token);
    if (!token || token.consumed || token.clientId !== client.clientId
      || !await provider.Grant.find(token.grantId)) {
      throw refuse(403, 'invalid_grant', 'Unknown or invalid refresh token.');
    }
    return token.accountId;
  }

  async byAccessToken(params, client) {
    if (client.app_type !== 'resource_server' || !client.resource_server_identifier) {
      throw refuse(403, 'unauthorized_client', 'Only a resource server client may exchange an access token.');
    }
    try {
      const { payload } = await jose.jwtVerify(params.subject_token, this.publicKey, {
        issuer: this.issuer, audience: client.resource_server_identifier, algorithms: ['RS256'] });
      return payload.sub;
    } catch {
      throw refuse(401, 'invalid_token', 'The subject token is invalid or expired.');
    }
  }

  async byWorkerToken(ctx, params, client) {
    const access = client.token_vault_privileged_access;
    if (!access?.credentials?.length || !access.ip_allowlist?.length || !access.grants?.length) {
      throw refuse(403, 'unauthorized_client', 'The client has no privileged access to Token Vault.');
    }
    if (!isAllowed(ctx.req.socket.remoteAddress, access.ip_allowlist)) {
      throw refuse(403, 'access_denied', 'The address of the request is not in the allow list of the client.');
    }
    const claims = await this.verifyWorkerToken(params.subject_token, client, access);
    const pin = access.grants.find((grant) => grant.connection === params.connection);
    if (params.connection && !pin) {
      throw refuse(403, 'access_denied', 'The connection is not among the grants of the client.');
    }
    return { user: claims.sub, pin, audit_context: claims.audit_context };
  }

  async verifyWorkerToken(token, client, access) {
    const invalid = (why) => refuse(401, 'invalid_request', `Invalid subject token: ${why}`);
    let claims;
    let header;
    for (const credential of access.credentials) {
      try {
        const found = await jose.jwtVerify(token, createPublicKey(credential.pem), {
          algorithms: ['RS256'], issuer: client.clientId, audience: this.issuer, clockTolerance: SKEW_SECONDS });
        ({ payload: claims, protectedHeader: header } = found);
        break;
      } catch { /* the next key */ }
    }
    if (!claims) throw invalid('signature, issuer, audience or time');
    if (header.typ !== 'token-vault-req+jwt') throw invalid('typ must be token-vault-req+jwt');
    if (typeof claims.iat !== 'number' || claims.iat < now() - WORKER_AGE_SECONDS) throw invalid('iat is too old');
    if (claims.iat > now() + SKEW_SECONDS) throw invalid('iat is in the future');
    const context = claims.audit_context;
    if (typeof context !== 'string' || context.length < 1 || context.length > 256) {
      throw invalid('audit_context must have 1 to 256 characters');
    }
    if (typeof claims.sub !== 'string' || !claims.sub) throw invalid('sub is missing');
    if (typeof claims.jti !== 'string' || !claims.jti) throw invalid('jti is missing');
    if (this.seen.get(`${client.clientId} ${claims.jti}`) > now()) throw invalid('jti was used before');
    this.seen.set(`${client.clientId} ${claims.jti}`, now() + 2 * WORKER_AGE_SECONDS);
    return claims;
  }

  // ---- what they get -----------------------------------------------------------------------------------------------
  async exchange(ctx, provider) {
    const { params, client } = ctx.oidc;
    const isWorker = params.subject_token_type === `${TYPE}jwt`;
    const note = { variant: params.subject_token_type, connection: params.connection };
    ctx.state.note = note;
    this.checkRequest(params, client, isWorker);
    const { user, pin, audit_context: context } = await this.subject(ctx, provider);
    Object.assign(note, { user, audit_context: context });
    const connection = this.connections.get(params.connection);
    if (!connection || (connection.clients && !connection.clients.includes(client.clientId))) {
      throw refuse(403, 'access_denied', 'The connection is not enabled for this client.');
    }
    const account = this.accountsOf(user).find((each) => each.connection === connection.name
      && (!params.login_hint || each.login === params.login_hint));
    if (!account) {
      throw refuse(401, 'federated_connection_refresh_token_not_found',
        'Federated connection Refresh Token not found.', { failure_reason: 'tokenset_not_found' });
    }
    const wanted = this.wantedScopes(params, account, connection, pin);
    const token = await this.tokenFor(account, connection, wanted, ctx.state.fault);
    note.fresh = token.fresh;
    this.answer(ctx, token, connection, isWorker ? WORKER : FEDERATED);
  }

  checkRequest(params, client, isWorker) {
    if (params.audience || params.resource) {
      throw refuse(400, 'invalid_request', 'audience and resource are not supported for this grant.');
    }
    for (const name of ['subject_token', 'subject_token_type', 'requested_token_type', 'connection']) {
      if (!params[name]) throw refuse(400, 'invalid_request', `Missing required parameter: ${name}`);
    }
    if (params.requested_token_type !== (isWorker ? WORKER : FEDERATED)) {
      throw refuse(400, 'invalid_request', 'requested_token_type is not supported');
    }
    if (client.is_first_party === false || client.oidc_conformant === false || client.clientAuthMethod === 'none') {
      throw refuse(403, 'unauthorized_client', 'The client must be first-party, confidential and OIDC conformant.');
    }
    if (this.tenant.mfa_policy === 'always') {
      throw refuse(403, 'mfa_required', 'Multifactor authentication required', { mfa_token: tokenOf('Fe26.2*', 40) });
    }
  }

  wantedScopes(params, account, connection, pin) {
    const isAsked = this.tenant.scope_parameter && params.scope;
    let wanted = isAsked ? words(params.scope) : account.scopes;
    if (wanted.some((scope) => !account.scopes.includes(scope))) {
      throw refuse(400, 'invalid_scope', 'The requested scope exceeds what was granted.');
    }
    if (pin) wanted = wanted.filter((scope) => pin.scopes.includes(scope));
    if (!wanted.length && account.scopes.length) throw refuse(400, 'invalid_scope', 'No requested scope is available.');
    if (wanted.length === account.scopes.length || connection.narrowing === 'honoured') return wanted;
    if (connection.narrowing === 'lenient' && !pin) return account.scopes;
    throw refuse(400, 'invalid_scope', 'The provider of the connection cannot narrow scopes.');
  }

  async tokenFor(account, connection, wanted, fault) {
    const key = [...wanted].sort().join(' ');
    const cached = account.cached.get(key);
    const isNarrowed = wanted.length < account.scopes.length;
    if (cached && cached.expires_at > now() && !fault?.fresh && (!isNarrowed || connection.cache_narrowed)) {
      return { ...cached, fresh: false };
    }
    if (!account.refreshable) {
      throw refuse(401, 'federated_connection_refresh_token_flow_failed',
        'Refresh Token flow for the Federated Connection failed');
    }
    const scopes = fault?.fault === 'wider' ? [...new Set([...wanted, ...fault.scopes])] : wanted;
    const minted = connection.upstream ? await this.fromUpstream(account, connection, wanted)
      : { value: tokenOf(connection.prefix, fault?.length ?? connection.token_length), scopes,
        expires_at: now() + connection.ttl };
    this.tokens.set(sha256(minted.value), { ...minted, account: account.id, live: true });
    account.cached.set(key, minted);
    return { ...minted, fresh: true };
  }

  // A refresh at a real (test) provider: what it revokes is revoked for this vault too.
  async fromUpstream(account, connection, wanted) {
    const { token_url: url, client_id: id, client_secret: secret, ca_file: ca, address } = connection.upstream;
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: id, client_secret: secret,
      refresh_token: account.upstream_refresh_token });
    if (wanted.length < account.scopes.length) form.set('scope', wanted.join(' '));
    let told;
    try {
      told = JSON.parse(await post(url, form.toString(), readFileSync(ca), address));
    } catch {
      told = {};
    }
    if (!told.access_token) {
      throw refuse(401, 'federated_connection_refresh_token_flow_failed',
        'Refresh Token flow for the Federated Connection failed');
    }
    if (told.refresh_token) account.upstream_refresh_token = told.refresh_token;
    return { value: told.access_token, scopes: told.scope === undefined ? wanted : words(told.scope),
      expires_at: now() + (told.expires_in ?? 3600) };
  }

  answer(ctx, token, connection, type) {
    const { scope, expires_in: form } = connection.answer;
    const left = Math.max(token.expires_at - now(), 0);
    ctx.body = { access_token: token.value, scope: token.scopes.join(scope === 'commas' ? ',' : ' '),
      expires_in: form === 'string' ? String(left) : left, issued_token_type: type, token_type: 'Bearer' };
    if (scope === 'absent') delete ctx.body.scope;
    ctx.state.returned = token.scopes;
  }
}

function isAllowed(address, list) {
  const plain = (address ?? '').replace(/^::ffff:/, '');
  return list.some((each) => {
    const [network, bits] = each.split('/');
    if (!bits || network.includes(':')) return network === plain;
    const number = (text) => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const size = 2 ** (32 - Number(bits));
    return Math.floor(number(plain) / size) === Math.floor(number(network) / size);
  });
}

function post(url, body, ca, address) {
  const target = new URL(url);
  const [host, port] = address ? address.split(':') : [target.hostname, target.port || 443];
  return new Promise((resolve, reject) => {
    const request = https.request({ host, port, path: target.pathname, method: 'POST', ca, servername: target.hostname,
      headers: { host: target.host, 'content-type': 'application/x-www-form-urlencoded' } }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part)).on('error', reject)
        .on('end', () => resolve(Buffer.concat(parts).toString()));
    });
    request.on('error', reject).end(body);
  });
}

// What the Management API refuses to store.
export function checkClient(metadata) {
  const access = metadata.token_vault_privileged_access;
  if (!access) return;
  const grants = access.grants ?? [];
  const names = grants.map((grant) => grant.connection);
  const scopes = grants.reduce((sum, grant) => sum + grant.scopes.length, 0);
  if (names.length > 5 || new Set(names).size !== names.length) {
    throw new Error('grants: at most 5 connections, each once');
  }
  if (scopes > 20) throw new Error('grants: at most 20 scopes in all');
  if ((access.ip_allowlist ?? []).length > 10) throw new Error('ip_allowlist: at most 10 entries');
}
