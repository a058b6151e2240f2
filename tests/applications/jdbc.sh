# apt: default-jdk-headless libpostgresql-jdbc-java
# pgjdbc with currentSchema, a fetch size, prepared statements of the server's and SERIALIZABLE.
prepare() {
    openssl pkcs8 -topk8 -inform PEM -outform DER -in "$PGSSLKEY" -out key.pk8 -nocrypt
    cat >Shop.java <<'JAVA'
import java.sql.*;
import java.util.*;

public class Shop {
    public static void main(String[] arguments) throws Exception {
        Map<String, String> e = System.getenv();
        String url = String.format("jdbc:postgresql://%s:%s/%s?user=%s&sslmode=verify-full&sslrootcert=%s"
            + "&sslcert=%s&sslkey=key.pk8&currentSchema=public&options=-c%%20statement_timeout=61000"
            + "&prepareThreshold=1", e.get("PGHOST"), e.get("PGPORT"), e.get("PGDATABASE"), e.get("PGUSER"),
            e.get("PGSSLROOTCERT"), e.get("PGSSLCERT"));
        List<Thread> threads = new ArrayList<>();
        List<Throwable> found = Collections.synchronizedList(new ArrayList<>());
        try (Connection c = DriverManager.getConnection(url); Statement s = c.createStatement()) {
            s.execute("CREATE TABLE IF NOT EXISTS orders (who text)");
        }
        for (int n = 0; n < 8; n++) {
            String who = arguments[0] + "-" + n;
            boolean serializable = n % 2 == 0;
            threads.add(new Thread(() -> {
                try (Connection c = DriverManager.getConnection(url)) {
                    c.setTransactionIsolation(serializable ? Connection.TRANSACTION_SERIALIZABLE
                        : Connection.TRANSACTION_READ_COMMITTED);
                    c.setAutoCommit(false);
                    try (PreparedStatement p = c.prepareStatement("INSERT INTO orders VALUES (?)")) {
                        for (int i = 0; i < 50; i++) { p.setString(1, who); p.executeUpdate(); }
                    }
                    c.commit();
                    for (int i = 0; i < 20; i++) {
                        try (PreparedStatement p = c.prepareStatement("SELECT who, current_setting("
                            + "'transaction_isolation'), current_setting('statement_timeout')"
                            + " FROM orders WHERE who = ?")) {
                            p.setFetchSize(7);
                            p.setString(1, who);
                            ResultSet rows = p.executeQuery();
                            int count = 0;
                            for (; rows.next(); count++)
                                if (!rows.getString(1).equals(who) || !rows.getString(3).equals("61s")
                                    || rows.getString(2).equals("serializable") != serializable)
                                    throw new Exception("another client's: " + rows.getString(1) + " "
                                        + rows.getString(2) + " " + rows.getString(3));
                            if (count != 50) throw new Exception(count + " rows of " + who);
                        }
                        c.commit();
                    }
                } catch (Throwable error) { found.add(error); }
            }));
        }
        for (Thread t : threads) t.start();
        for (Thread t : threads) t.join();
        for (Throwable error : found) System.err.println(error);
        System.exit(found.isEmpty() ? 0 : 1);
    }
}
JAVA
    javac Shop.java
}
migrate() { :; }
use() { java -cp .:/usr/share/java/postgresql.jar Shop "$1"; }
