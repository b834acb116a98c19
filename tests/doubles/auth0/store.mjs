// SPDX-License-Identifier: Apache-2.0
// What the provider keeps, in memory, and word of every token that is taken away and by which request.
import { AsyncLocalStorage } from 'node:async_hooks';

const grantMembers = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode',
  'BackchannelAuthenticationRequest']);
const tokens = new Set(['AccessToken', 'RefreshToken', 'ClientCredentials']);

export class Store {
  constructor() {
    this.rows = new Map();
    this.clients = new Map();
    this.requests = new AsyncLocalStorage();  // of each request, the tokens that it took away: { kind, value }
  }

  // Carries out one request (or what it left to be done); `taken` is its own.
  during(work) {
    const taken = [];
    return this.requests.run(taken, () => work(taken));
  }

  drop(kind, value) {
    if (this.rows.delete(`${kind}:${value}`) && tokens.has(kind)) this.requests.getStore()?.push({ kind, value });
  }

  adapterFor() {
    const store = this;
    return class { constructor(model) { return new Adapter(store, model); } };
  }
}

class Adapter {
  constructor(store, model) {
    Object.assign(this, { store, model });
  }

  get(key) {
    const row = this.store.rows.get(key);
    if (row && row.until < Date.now()) {
      this.store.rows.delete(key);
      return undefined;
    }
    return row;
  }

  async upsert(id, payload, expiresIn) {
    const until = expiresIn ? Date.now() + (expiresIn + 60) * 1000 : Infinity;
    this.store.rows.set(`${this.model}:${id}`, { id, model: this.model, payload, until });
  }

  async find(id) {
    if (this.model === 'Client') return this.store.clients.get(id);
    return this.get(`${this.model}:${id}`)?.payload;
  }

  async findBy(name, value) {
    for (const [key, row] of this.store.rows) {
      if (row.model === this.model && row.payload[name] === value) return this.get(key)?.payload;
    }
    return undefined;
  }

  findByUid(uid) { return this.findBy('uid', uid); }

  findByUserCode(userCode) { return this.findBy('userCode', userCode); }

  async consume(id) {
    const payload = await this.find(id);
    payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    this.store.drop(this.model, id);
  }

  async revokeByGrantId(grantId) {
    for (const row of [...this.store.rows.values()]) {
      if (grantMembers.has(row.model) && row.payload.grantId === grantId) this.store.drop(row.model, row.id);
    }
  }
}
