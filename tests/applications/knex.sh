# npm: knex pg
# Knex with node's pg, in a pool of its own; search_path is a start-up parameter.
migrate() {
    mkdir -p migrations
    cat >migrations/1_orders.js <<'JS'
exports.up = (knex) => knex.schema.createTable("orders", (t) => { t.increments(); t.string("who"); });
exports.down = (knex) => knex.schema.dropTable("orders");
JS
    cat >knexfile.js <<'JS'
const fs = require("fs");
const e = process.env;
module.exports = { client: "pg", searchPath: ["public"], pool: { min: 2, max: 10 }, connection: {
  host: e.PGHOST, port: e.PGPORT, user: e.PGUSER, database: e.PGDATABASE,
  statement_timeout: 60000, application_name: "shop",
  ssl: { ca: fs.readFileSync(e.PGSSLROOTCERT), cert: fs.readFileSync(e.PGSSLCERT), key: fs.readFileSync(e.PGSSLKEY) } } };
JS
    npx --no-install knex migrate:latest >/dev/null
}
use() {
    node - "$1" <<'JS'
const knex = require("knex")(require(process.cwd() + "/knexfile.js"));
(async () => {
  const run = process.argv[2];
  await Promise.all([...Array(100).keys()].map((n) => knex.transaction(async (t) => {
    await t("orders").insert({ who: `${run}-${n}` });
    const [row] = await t("orders").where({ who: `${run}-${n}` });
    if (row.who !== `${run}-${n}`) throw new Error(row.who);
  })));
  const { rows } = await knex.raw("SHOW statement_timeout");
  if (rows[0].statement_timeout !== "1min") throw new Error(rows[0].statement_timeout);
  const [{ count }] = await knex("orders").where("who", "like", `${run}-%`).count();
  if (Number(count) !== 100) throw new Error(`${count} rows`);
  await knex.destroy();
})().catch((error) => { console.error(error.message); process.exit(1); });
JS
}
