BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
) STRICT;
INSERT INTO "_sqlite_migrations" VALUES(1,'webmail-messenger.accounts','m001_accounts','2026-11-24 11:30:09.415752+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'webmail-messenger.accounts','m002_sessions','2026-11-24 11:30:09.416532+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'webmail-messenger.accounts','m003_throttle','2026-11-24 11:30:09.417352+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'webmail-messenger.accounts','m004_audit','2026-11-24 11:30:09.417918+00:00');
CREATE TABLE "account" (
   "id" INTEGER PRIMARY KEY NOT NULL,
   "created" INTEGER NOT NULL,
   "language" TEXT NOT NULL,
   "time_zone" TEXT NOT NULL,
   "generation" INTEGER NOT NULL
) STRICT;
INSERT INTO "account" VALUES(1,1800000000,'de','Europe/Berlin',0);
INSERT INTO "account" VALUES(2,1800000005,'en','UTC',0);
CREATE TABLE "address" (
   "address" TEXT PRIMARY KEY NOT NULL,
   "account" INTEGER NOT NULL REFERENCES "account"("id") ON DELETE CASCADE,
   "main" INTEGER NOT NULL,
   "added" INTEGER NOT NULL
) STRICT;
INSERT INTO "address" VALUES('alice@example.net',1,1,1800000000);
INSERT INTO "address" VALUES('bob@example.net',2,1,1800000005);
CREATE TABLE "audit" (
   "id" INTEGER PRIMARY KEY NOT NULL,
   "at" INTEGER NOT NULL,
   "event" TEXT NOT NULL,
   "outcome" TEXT NOT NULL,
   "account" INTEGER,
   "client" TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1800000000,'sign-up','done',1,'192.0.2.7');
INSERT INTO "audit" VALUES(2,1800000005,'sign-up','done',2,'192.0.2.9');
INSERT INTO "audit" VALUES(3,1800000010,'log-in','refused',1,'198.51.100.9');
INSERT INTO "audit" VALUES(4,1800000011,'log-in','refused',NULL,'198.51.100.9');
CREATE TABLE "credential" (
   "id" INTEGER PRIMARY KEY NOT NULL,
   "account" INTEGER NOT NULL REFERENCES "account"("id") ON DELETE CASCADE,
   "kind" TEXT NOT NULL,
   "secret" TEXT NOT NULL,
   "created" INTEGER NOT NULL,
   "changed" INTEGER NOT NULL
) STRICT;
INSERT INTO "credential" VALUES(1,1,'password','$argon2id$v=19$m=64,t=1,p=1$A5gOxToleXK7DMQk8+ucDw$U768qFWM5Jo6VJq+zcVo8tBA+0tB+R4/TRiDe6+u6jY',1800000000,1800000000);
INSERT INTO "credential" VALUES(2,2,'password','$argon2id$v=19$m=64,t=1,p=1$rvHEo1oi0DxcUdXW94Gh5Q$7Wn5S19TOxyQwEA+rLGoAmU1p1lrBF5Dc9EVSXz38Oo',1800000005,1800000005);
CREATE TABLE "known_network" (
   "account" INTEGER NOT NULL REFERENCES "account"("id") ON DELETE CASCADE,
   "network" TEXT NOT NULL,
   "last" INTEGER NOT NULL,
   PRIMARY KEY ("account", "network")
) STRICT;
INSERT INTO "known_network" VALUES(1,'192.0.2.0/24',1800000000);
INSERT INTO "known_network" VALUES(2,'192.0.2.0/24',1800000005);
CREATE TABLE "session" (
   "id" TEXT PRIMARY KEY NOT NULL,
   "account" INTEGER NOT NULL REFERENCES "account"("id") ON DELETE CASCADE,
   "opened" INTEGER NOT NULL,
   "seen" INTEGER NOT NULL,
   "client" TEXT NOT NULL
) STRICT;
INSERT INTO "session" VALUES('66d34fba71f8f450f7e45598853e53bfc23bbd129027cbb131a2f4ffd7878cd0',1,1800000020,1800000020,'192.0.2.7');
CREATE TABLE "throttle" (
   "key" TEXT PRIMARY KEY NOT NULL,
   "failures" INTEGER NOT NULL,
   "last" INTEGER NOT NULL,
   "forgotten" INTEGER NOT NULL
) STRICT;
INSERT INTO "throttle" VALUES('4750b0f8557fe46592a37cee97c2cde81e120960bc8360c98454ffa04c916601',1,1800000010,1800003610);
INSERT INTO "throttle" VALUES('e8482e7f12e589b6f58193d6185c588ba278d6d21815b3a0573a41f17411e292',1,1800000010,1800003610);
INSERT INTO "throttle" VALUES('2707a2facda9c3399263b10842b748aa1ac3c790c7ffb84346ae5f31e66fa048',2,1800000011,1800000131);
INSERT INTO "throttle" VALUES('1d9cc59f7774571e2b1ef4d92d4046ad6bf8bdf126d08787974a30aef4f14c62',1,1800000011,1800003611);
INSERT INTO "throttle" VALUES('388f1ea1347d146b1fa3b83c42480b8ef4c6a1f23d754a71896a7355d43a1d40',1,1800000011,1800003611);
INSERT INTO "throttle" VALUES('5ef5ef0364b6939c4ca61f34b393f7b368d1be8619647aaf83d5b395919ab629',1,1800000011,1800000012);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE UNIQUE INDEX address_main ON address(account) WHERE main = 1;
CREATE UNIQUE INDEX credential_password ON credential(account) WHERE kind = 'password';
CREATE INDEX credential_account ON credential(account, kind);
CREATE INDEX session_account ON session(account);
CREATE INDEX session_seen ON session(seen);
CREATE INDEX session_opened ON session(opened);
CREATE INDEX throttle_forgotten ON throttle(forgotten);
CREATE INDEX audit_account ON audit(account, at);
CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit only grows'); END;
COMMIT;
