// SPDX-License-Identifier: Apache-2.0
// What a test may tell the provider while it runs: see ../providers.py, which is the other end.
import { readFileSync } from 'node:fs';
import { CIBA_GRANT, decide } from './approval.mjs';
import { sha256, words } from './faults.mjs';
import { grantAll } from './provider.mjs';
import { apisOf } from './resources.mjs';
import { checkClient } from './vault.mjs';

export class Commands {
  constructor(world) {
    this.world = world;
  }

  carryOut({ do: name, ...more }) {
    if (!Object.hasOwn(Commands.prototype, name) || ['constructor', 'carryOut'].includes(name)) {
      throw new Error(`no command ${name}`);
    }
    return this[name](more);
  }

  fail(fault) { this.world.faults.add(fault); }

  mend() { this.world.faults.clear(); }

  reset() {
    const { faults, store, vault, tenant, accountApi, tenantAtFirst } = this.world;
    faults.clear();
    for (const kept of [store.rows, store.clients, vault.connections, vault.accounts, vault.tokens, vault.seen,
      accountApi.sessions, this.world.polls, this.world.certificates]) kept.clear();
    for (const name of Object.keys(tenant)) delete tenant[name];
    Object.assign(tenant, structuredClone(tenantAtFirst));
  }

  tenant(changes) { Object.assign(this.world.tenant, changes); }

  client(metadata) {
    checkClient(metadata);
    const grants = metadata.grant_types ?? [];
    const hasCode = grants.includes('authorization_code');
    this.world.store.clients.set(metadata.client_id, {
      token_endpoint_auth_method: 'client_secret_post', redirect_uris: [], response_types: hasCode ? ['code'] : [],
      ...(grants.includes(CIBA_GRANT) ? { backchannel_token_delivery_mode: 'poll' } : {}),
      ...metadata });
  }

  connection({ name, ...more }) { this.world.vault.addConnection(name, more); }

  connect({ user, connection, scopes, ...more }) {
    return this.world.vault.connect(user, connection, scopes, more).id;
  }

  account({ id, ...changes }) { Object.assign(this.world.vault.accounts.get(id), changes); }

  accounts({ user }) {
    return this.world.vault.accountsOf(user).map(({ cached, ...account }) => account);
  }

  // A cached provider token is forgotten, as when it has expired.
  forget({ id }) { this.world.vault.accounts.get(id).cached.clear(); }

  async refresh_token({ client, user, scope, audiences }) {
    const { provider, tenant, issuer } = this.world;
    const found = await provider.Client.find(client);
    const apis = apisOf(tenant, issuer);
    const resources = audiences ?? Object.keys(apis);
    const wanted = scope ?? ['openid', 'offline_access', ...tenant.scopes,
      ...resources.flatMap((each) => apis[each].scopes)].join(' ');
    const grant = await grantAll(provider, client, user, wanted, resources, apis);
    const token = new provider.RefreshToken({ client: found, accountId: user, grantId: await grant.save(),
      scope: wanted, resource: resources, gty: 'authorization_code', authTime: Math.floor(Date.now() / 1000) });
    return token.save();
  }

  // All that are still worth something, of one user.
  async refresh_tokens({ user }) {
    const rows = [...this.world.store.rows.values()].filter(({ model, payload }) => model === 'RefreshToken'
      && payload.accountId === user && !payload.consumed);
    return rows.map(({ payload }) => payload.jti);
  }

  async access_token({ client, user, audience, scope }) {
    const { provider, tenant, issuer } = this.world;
    const found = await provider.Client.find(client);
    const grant = await grantAll(provider, client, user, scope, audience ? [audience] : [], apisOf(tenant, issuer));
    const token = new provider.AccessToken({ client: found, accountId: user, grantId: await grant.save(), scope,
      gty: 'authorization_code' });
    if (audience) {
      const { getResourceServerInfo } = this.world.settings.features.resourceIndicators;
      token.resourceServer = new provider.ResourceServer(audience, await getResourceServerInfo({}, audience, found));
    }
    return token.save();
  }

  // The user at the device flow's page.
  async device({ user_code: shown, user, deny }) {
    const { provider, tenant, issuer } = this.world;
    const code = await provider.DeviceCode.findByUserCode(shown.replace(/\W/g, '').toUpperCase());
    if (!code) throw new Error('no such user code');
    if (deny) {
      Object.assign(code, { error: 'access_denied', errorDescription: 'The user denied the request.' });
    } else {
      const resources = [code.params.resource ?? []].flat();
      const grant = await grantAll(provider, code.clientId, user, code.params.scope, resources, apisOf(tenant, issuer));
      // One resource is no list of one: the provider would not know which of them the token is for.
      const resource = resources.length === 1 ? resources[0] : resources;
      Object.assign(code, { accountId: user, grantId: await grant.save(), scope: code.params.scope, resource,
        authTime: Math.floor(Date.now() / 1000) });
    }
    await code.save();
  }

  // The user at the device to which a request was pushed.
  approval({ auth_req_id: id, deny }) {
    const { provider, tenant, issuer } = this.world;
    return decide(provider, id, deny, ({ clientId, accountId, params }) => grantAll(provider, clientId, accountId,
      params.scope, [params.resource ?? []].flat(), apisOf(tenant, issuer)).then((grant) => grant.save()));
  }

  // Is it still worth something? Provider tokens of the vault, and tokens of the provider itself.
  async alive({ token }) {
    const { provider, vault } = this.world;
    const vended = vault.tokens.get(sha256(token));
    if (vended) return vended.live && vended.expires_at * 1000 > Date.now();
    const found = await provider.AccessToken.find(token) ?? await provider.RefreshToken.find(token)
      ?? await provider.ClientCredentials.find(token);
    return Boolean(found && !found.consumed && (!found.grantId || await provider.Grant.find(found.grantId)));
  }

  // The client certificates that were shown where tokens are bound, PEM; and to which one a token is (RFC 8705 3.1).
  certificates() { return [...this.world.certificates]; }

  async binding({ token }) {
    const { provider } = this.world;
    const found = await provider.ClientCredentials.find(token) ?? await provider.AccessToken.find(token);
    return found?.['x5t#S256'];
  }

  // The provider behind a connection kills one token, all of the account's, or the grant with them.
  kill({ token, account, grant }) {
    const { vault } = this.world;
    for (const [hash, each] of vault.tokens) {
      if (hash === (token && sha256(token)) || each.account === account) each.live = false;
    }
    if (grant) vault.accounts.get(account).refreshable = false;
  }

  scopes({ token }) { return words(this.world.vault.tokens.get(sha256(token))?.scopes?.join(' ')); }

  // Out of reach: no new connection is taken, and those that are open end.
  down() {
    return new Promise((resolve) => {
      this.world.server.close(() => resolve(null));
      this.world.server.closeAllConnections();
    });
  }

  up() {
    return new Promise((resolve) => { this.world.server.listen(this.world.port, '127.0.0.1', () => resolve(null)); });
  }

  certificate({ certificate, key }) {
    this.world.server.setSecureContext({ cert: readFileSync(certificate), key: readFileSync(key),
      ca: readFileSync(this.world.configuration.ca_file) });
    this.world.server.closeAllConnections();
  }
}
