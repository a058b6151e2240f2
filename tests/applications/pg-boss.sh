# npm: pg-boss pg
# pg-boss makes a schema of its own.
migrate() {
    cat >boss.js <<'JS'
const fs = require("fs");
const e = process.env;
const boss = require("pg-boss");
const PgBoss = boss.PgBoss || boss.default || boss;
module.exports = () => new PgBoss({ host: e.PGHOST, port: Number(e.PGPORT), user: e.PGUSER,
  database: e.PGDATABASE, ssl: { ca: fs.readFileSync(e.PGSSLROOTCERT),
  cert: fs.readFileSync(e.PGSSLCERT), key: fs.readFileSync(e.PGSSLKEY) } });
JS
    node -e '
const boss = require("./boss.js")();
boss.on("error", () => {});
boss.start().then(() => boss.createQueue("orders")).then(() => boss.stop()).then(
  () => process.exit(0), (error) => { console.error(error.message); process.exit(1); });'
}
use() {
    node -e '
(async () => {
  const boss = require("./boss.js")();
  boss.on("error", (error) => console.error(error.message));
  await boss.start();
  const done = new Promise((resolve) => boss.work("orders", async (jobs) => resolve(jobs[0].data.n)));
  await boss.send("orders", { n: 7 });
  if (await done !== 7) throw new Error("another job");
  await boss.stop();
  process.exit(0);
})().catch((error) => { console.error(error.message); process.exit(1); });'
}
