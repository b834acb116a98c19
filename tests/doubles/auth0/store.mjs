// SPDX-License-Identifier: Apache-2.0
// What the provider keeps, in memory, and word of every token that is taken away.

const grantMembers = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken', 'DeviceCode',
  'BackchannelAuthenticationRequest']);
const tokens = new Set(['AccessToken', 'RefreshToken', 'ClientCredentials']);

export class Store {
  constructor() {
    this.rows = new Map();
    this.taken = [];  // tokens taken away since the last look: { kind, value }
    this.clients = new Map();
  }

  takeAway() {
    return this.taken.splice(0);
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
    if (this.store.rows.delete(`${this.model}:${id}`) && tokens.has(this.model)) {
      this.store.taken.push({ kind: this.model, value: id });
    }
  }

  async revokeByGrantId(grantId) {
    for (const [key, row] of this.store.rows) {
      if (!grantMembers.has(row.model) || row.payload.grantId !== grantId) continue;
      this.store.rows.delete(key);
      if (tokens.has(row.model)) this.store.taken.push({ kind: row.model, value: row.id });
    }
  }
}
