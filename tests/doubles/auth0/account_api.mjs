// SPDX-License-Identifier: Apache-2.0
// The My Account API (a user's own connected accounts) and the few calls of the Management API that touch them.
import { createHash } from 'node:crypto';
import { jwtVerify } from 'jose';
import { tokenOf, words } from './faults.mjs';

const PAGE_MAX = 20;
const PAGE = 10;
const TICKET_SECONDS = 300;

class Problem extends Error {
  constructor(status, title, detail, validation) {
    super(detail);
    Object.assign(this, { status, title, validation });
  }
}

const invalid = (field, detail) => new Problem(400, 'Bad request', 'Invalid request', [{ field, detail }]);

export class AccountApi {
  constructor(world) {
    this.world = world;
    this.sessions = new Map();  // auth_session, ticket and connect_code → what was asked for
  }

  // True: the request was for these APIs and is answered.
  async answer(ctx, fields) {
    const { path, method } = ctx;
    if (!/^\/(me\/v1|api\/v2|connected-accounts)\//.test(path)) return false;
    try {
      await this.route(ctx, method, path, fields);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      ctx.status = error.status;
      ctx.body = { type: `https://auth0.com/api-errors/A0E-${error.status}-0001`, status: error.status,
        title: error.title, detail: error.message };
      if (error.validation) ctx.body.validation_errors = error.validation;
      ctx.type = 'application/problem+json';
    }
    return true;
  }

  async route(ctx, method, path, fields) {
    if (path === '/connected-accounts/connect') return this.consent(ctx);
    if (path.startsWith('/api/v2/')) return this.manage(ctx, method, path, fields);
    const base = '/me/v1/connected-accounts/';
    const rest = path.slice(base.length);
    if (!path.startsWith(base)) throw new Problem(404, 'Not found', 'The path does not exist.');
    if (method === 'GET' && rest === 'accounts') return this.list(ctx, await this.user(ctx, 'read'));
    if (method === 'GET' && rest === 'connections') return this.connectable(ctx, await this.user(ctx, 'read'));
    if (method === 'DELETE' && rest.startsWith('accounts/')) {
      return this.remove(ctx, await this.user(ctx, 'delete'), rest.slice('accounts/'.length));
    }
    if (method === 'POST' && rest === 'connect') return this.connect(ctx, await this.user(ctx, 'create'), fields);
    if (method === 'POST' && rest === 'complete') return this.complete(ctx, await this.user(ctx, 'create'), fields);
    throw new Problem(404, 'Not found', 'The path does not exist.');
  }

  async claims(ctx, audience, scope) {
    const token = ctx.get('authorization').replace(/^(Bearer|DPoP) /i, '');
    let payload;
    try {
      ({ payload } = await jwtVerify(token, this.world.publicKey, { issuer: this.world.issuer, audience }));
    } catch {
      throw new Problem(401, 'Unauthorized', 'The access token is missing, invalid or expired.');
    }
    ctx.state.client = payload.client_id;
    if (!words(payload.scope).includes(scope)) throw new Problem(403, 'Forbidden', `Insufficient scope: ${scope}`);
    return payload;
  }

  async user(ctx, verb) {
    const claims = await this.claims(ctx, `${this.world.issuer}me/`, `${verb}:me:connected_accounts`);
    // A token of client credentials names the client where another names a user.
    if (!claims.sub || claims.sub === claims.client_id) {
      throw new Problem(403, 'Forbidden', 'A token of a user is needed.');
    }
    ctx.state.note = { user: claims.sub };
    return claims.sub;
  }

  list(ctx, user) {
    const { connection, from, take } = ctx.query;
    const size = take === undefined ? PAGE : Number(take);
    if (!(size >= 1 && size <= PAGE_MAX)) {
      throw invalid('take', 'must be 1 to 20');
    }
    const all = this.world.vault.accountsOf(user).filter((each) => !connection || each.connection === connection);
    const start = from ? all.findIndex((each) => each.id === from) : 0;
    if (start < 0) throw invalid('from', 'unknown cursor');
    const next = all[start + size];
    ctx.body = { accounts: all.slice(start, start + size).map(shown), ...(next ? { next: next.id } : {}) };
  }

  connectable(ctx) {
    const all = [...this.world.vault.connections.values()];
    ctx.body = { connections: all.map(({ name }) => ({ name, strategy: name, scopes: [] })) };
  }

  remove(ctx, user, id) {
    if (!/^cac_[A-Za-z0-9]+$/.test(id)) {
      throw invalid('id', 'not the id of a connected account');
    }
    const account = this.world.vault.accounts.get(id);
    if (account?.user === user) {
      this.world.vault.accounts.delete(id);  // the provider hears nothing of it, and what was vended lives on
      ctx.state.note = { user, connection: account.connection, disconnected: id };
    }
    ctx.status = 204;
  }

  connect(ctx, user, fields) {
    const connection = this.world.vault.connections.get(fields.connection);
    if (!connection) throw new Problem(404, 'Not found', 'The connection does not exist.');
    if (!fields.redirect_uri) throw invalid('redirect_uri', 'required');
    if (fields.code_challenge && fields.code_challenge_method !== 'S256') {
      throw invalid('code_challenge_method', 'must be S256');
    }
    const session = { user, ...fields, auth_session: tokenOf('', 48), ticket: tokenOf('', 36),
      until: Date.now() + TICKET_SECONDS * 1000 };
    this.sessions.set(session.auth_session, session).set(session.ticket, session);
    ctx.status = 201;
    ctx.body = { auth_session: session.auth_session, connect_uri: `${this.world.issuer}connected-accounts/connect`,
      connect_params: { ticket: session.ticket }, expires_in: TICKET_SECONDS };
  }

  // What the user's browser opens: consents at once and comes back with a code in the fragment.
  consent(ctx) {
    const session = this.sessions.get(ctx.query.ticket);
    if (!session) throw new Problem(400, 'Bad request', 'The ticket is unknown.');
    const state = session.state ? `&state=${encodeURIComponent(session.state)}` : '';
    if (this.world.tenant.deny) return ctx.redirect(`${session.redirect_uri}#error=access_denied${state}`);
    session.code = tokenOf('', 40);
    return ctx.redirect(`${session.redirect_uri}#connect_code=${session.code}${state}`);
  }

  complete(ctx, user, fields) {
    const session = this.sessions.get(fields.auth_session);
    const challenge = createHash('sha256').update(fields.code_verifier ?? '').digest('base64url');
    if (!session || session.until < Date.now() || session.user !== user || !session.code
      || session.code !== fields.connect_code || session.redirect_uri !== fields.redirect_uri
      || (session.code_challenge && session.code_challenge !== challenge)) {
      throw new Problem(400, 'Bad request', 'The session, code, verifier or redirect_uri does not fit.');
    }
    this.sessions.delete(fields.auth_session);
    const { vault } = this.world;
    const old = vault.accountsOf(user).find((each) => each.connection === session.connection);
    if (old) vault.accounts.delete(old.id);
    const account = vault.connect(user, session.connection, session.scopes ?? old?.scopes ?? []);
    ctx.status = 201;
    ctx.body = shown(account);
  }

  // ---- Management API ----------------------------------------------------------------------------------------------
  async manage(ctx, method, path, fields) {
    const audience = `${this.world.issuer}api/v2/`;
    const listed = /^\/api\/v2\/users\/([^/]+)\/connected-accounts$/.exec(path);
    if (method === 'GET' && listed) {
      await this.claims(ctx, audience, 'read:users');
      ctx.body = { connected_accounts: this.world.vault.accountsOf(decodeURIComponent(listed[1])).map(shown) };
    } else if (method === 'POST' && path === '/api/v2/refresh-tokens/revoke') {
      await this.claims(ctx, audience, 'delete:refresh_tokens');
      await this.revokeTokens(fields);
      ctx.status = 202;
    } else {
      throw new Problem(404, 'Not found', 'The path does not exist.');
    }
  }

  async revokeTokens({ ids, user_id: user, client_id: client }) {
    const rows = [...this.world.store.rows.values()].filter(({ model, payload }) => model === 'RefreshToken'
      && (ids ? ids.includes(payload.jti) : payload.accountId === user && (!client || payload.clientId === client)));
    for (const { id } of rows) this.world.store.drop('RefreshToken', id);
  }
}

function shown({ id, connection, scopes, created_at: created, expires_at: expires }) {
  const until = expires ? { expires_at: expires } : {};
  return { id, connection, access_type: 'offline', scopes, created_at: created, ...until };
}

