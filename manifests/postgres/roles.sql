-- Three roles for a ledger in PostgreSQL, for an administrator to run in a database of its own (UTF8):
--
--   createdb --encoding=UTF8 --template=template0 polycrate
--   psql --dbname=polycrate --file=roles.sql
--
-- The servers get polycrate_server. It may read, and write through the functions of the ledger; it may not change or
-- delete an event or a private value. polycrate_owner creates and upgrades the tables.
-- polycrate_upkeep erases people and prunes old events, and is for the person who does that. Both are kept away from
-- the servers. Give each a password of their own (\password), or another way to log in.
CREATE ROLE polycrate_owner LOGIN;
CREATE ROLE polycrate_server LOGIN;
CREATE ROLE polycrate_upkeep LOGIN;

CREATE SCHEMA ledger AUTHORIZATION polycrate_owner;
GRANT USAGE ON SCHEMA ledger TO polycrate_server, polycrate_upkeep;

-- For all that polycrate_owner makes in that schema, now and with later versions.
ALTER DEFAULT PRIVILEGES FOR ROLE polycrate_owner IN SCHEMA ledger GRANT SELECT ON TABLES TO polycrate_server;
ALTER DEFAULT PRIVILEGES FOR ROLE polycrate_owner IN SCHEMA ledger GRANT EXECUTE ON FUNCTIONS TO polycrate_server;
-- Triggers refuse to change an event, and to delete one but by pruning, whatever the role.
ALTER DEFAULT PRIVILEGES FOR ROLE polycrate_owner IN SCHEMA ledger
  GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO polycrate_upkeep;
ALTER DEFAULT PRIVILEGES FOR ROLE polycrate_owner IN SCHEMA ledger GRANT EXECUTE ON FUNCTIONS TO polycrate_upkeep;
ALTER DEFAULT PRIVILEGES FOR ROLE polycrate_owner IN SCHEMA ledger GRANT USAGE ON SEQUENCES TO polycrate_upkeep;

ALTER ROLE polycrate_owner SET search_path = ledger;
ALTER ROLE polycrate_server SET search_path = ledger;
ALTER ROLE polycrate_upkeep SET search_path = ledger;
