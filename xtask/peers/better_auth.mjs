// A service with better-auth alone: accounts and sessions in PostgreSQL. As in its documentation, with its defaults but for rate limits, which are
// off, and for the session's token, which comes as a bearer token in place of a cookie.

import cluster from "node:cluster";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";

import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { bearer } from "better-auth/plugins";
import pg from "pg";

const { DATABASE_URL, PORT, SECRET } = process.env;
const options = {
  baseURL: `http://127.0.0.1:${PORT}`,
  database: new pg.Pool({ connectionString: DATABASE_URL }),
  emailAndPassword: { enabled: true },
  plugins: [bearer()],
  rateLimit: { enabled: false },
  secret: SECRET,
};

if (cluster.isPrimary) {
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  for (let core = 0; core < availableParallelism(); core++) cluster.fork();
} else {
  createServer(toNodeHandler(betterAuth(options))).listen(Number(PORT), "127.0.0.1");
}
