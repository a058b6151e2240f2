# apt: php-cli php-pgsql
# PHP's PDO with its default settings: statements of the protocol's, freed by DEALLOCATE.
migrate() { :; }
use() {
    cat >shop.php <<'PHP'
<?php
$e = getenv();
$db = new PDO("pgsql:host={$e['PGHOST']};port={$e['PGPORT']};dbname={$e['PGDATABASE']};user={$e['PGUSER']}"
    . ";sslmode=verify-full;sslrootcert={$e['PGSSLROOTCERT']};sslcert={$e['PGSSLCERT']};sslkey={$e['PGSSLKEY']}"
    . ";options='-c statement_timeout=61000'");
$db->exec("CREATE TABLE IF NOT EXISTS orders (who text)");
function order(PDO $db, string $who): void {
    $statement = $db->prepare("INSERT INTO orders VALUES (?)");
    $statement->execute([$who]);
}
for ($n = 0; $n < 100; $n++) {
    $db->beginTransaction();
    order($db, "$argv[1]-$n");
    if ($db->commit() !== true) { fwrite(STDERR, "commit $n\n"); exit(1); }
}
$found = $db->query("SELECT count(*) FROM orders WHERE who LIKE '$argv[1]-%'")->fetchColumn();
$timeout = $db->query("SHOW statement_timeout")->fetchColumn();
if ($found != 100 || $timeout != "61s") { fwrite(STDERR, "$found rows, $timeout\n"); exit(1); }
PHP
    php shop.php "$1"
}
