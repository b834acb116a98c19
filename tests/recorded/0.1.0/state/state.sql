BEGIN TRANSACTION;
CREATE TABLE leases (
    correlation TEXT PRIMARY KEY,
    mission TEXT NOT NULL REFERENCES missions (mission) ON DELETE CASCADE,
    lease TEXT NOT NULL,
    service TEXT NOT NULL,
    account TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    asked TEXT NOT NULL,
    received TEXT,
    narrowed_by TEXT NOT NULL,
    retire TEXT NOT NULL,
    risk TEXT NOT NULL,
    approval TEXT NOT NULL,
    handle TEXT NOT NULL,
    thumbprint TEXT NOT NULL,
    detail TEXT NOT NULL,
    mints INTEGER NOT NULL,
    wanted_unix_ms INTEGER NOT NULL,
    expires_unix_ms INTEGER NOT NULL,
    alive_until_unix_ms INTEGER NOT NULL,
    handed_out INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    first_used_unix_ms INTEGER NOT NULL,
    last_used_unix_ms INTEGER NOT NULL,
    UNIQUE (mission, lease)
) STRICT;
INSERT INTO "leases" VALUES('01m8a0ddaq1zyddyx9vnmmq23j','01m8a0dcbepzh8v883kn4nz4v8','l1','git','quickstart','local','gone','fetch
',NULL,'proxy','none','low','','','b82c381f0ee08e5e06b2955a7d05ee37a4d1b8176088a75076035e5dce4f87d5','the mission ended; our copy is gone; the stored credential itself stays valid',0,1795632313687,1795632912878,0,1,5,1795632313746,1795632315350);
INSERT INTO "leases" VALUES('01m8a0de0j2be5z5y9shbfv7bm','01m8a0dcbepzh8v883kn4nz4v8','l2','git','quickstart','local','gone','push
',NULL,'proxy','none','low','','','b82c381f0ee08e5e06b2955a7d05ee37a4d1b8176088a75076035e5dce4f87d5','the mission ended; our copy is gone; the stored credential itself stays valid',0,1795632314386,1795632912878,0,1,2,1795632314490,1795632316429);
INSERT INTO "leases" VALUES('01m8a0de4zka8mtfyj7d7qx5xy','01m8a0dcbepzh8v883kn4nz4v8','l3','git','quickstart','local','gone','push
',NULL,'proxy','none','medium','','','b82c381f0ee08e5e06b2955a7d05ee37a4d1b8176088a75076035e5dce4f87d5','the mission ended; our copy is gone; the stored credential itself stays valid',0,1795632314527,1795632912878,0,1,1,1795632314944,1795632314944);
CREATE TABLE missions (
    mission TEXT PRIMARY KEY,
    started_unix_ms INTEGER NOT NULL,
    ends_unix_ms INTEGER NOT NULL,
    settled INTEGER NOT NULL
) STRICT;
INSERT INTO "missions" VALUES('01m8a0dcbepzh8v883kn4nz4v8',1795632313070,1795632912878,0);
PRAGMA user_version = 1;
COMMIT;
