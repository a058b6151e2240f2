"""Three hundred products in twelve categories, all delivered once."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("""
        INSERT INTO categories (slug, name)
        VALUES ('home', 'Home'), ('garden', 'Garden'), ('office', 'Office');

        INSERT INTO categories (parent_id, slug, name)
        SELECT parent.id, parent.slug || '-' || lower(leaf), leaf
        FROM categories AS parent, unnest(ARRAY['Lamps', 'Chairs', 'Tables']) AS leaf
        WHERE parent.parent_id IS NULL
        ORDER BY parent.id, leaf;

        INSERT INTO products
            (id, sku, category_id, name, description, price_minor, currency, created_at)
        SELECT ('b0000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
               format('SHP-%s', lpad(n::text, 5, '0')),
               leaf.id,
               format('%s %s %s', style, material, rtrim(leaf.name, 's')),
               format('A %s in %s with %s, made to last; number %s of its series.',
                      lower(rtrim(leaf.name, 's')), lower(material), detail, n),
               499 + (n * 7919) % 49500,
               'EUR',
               timestamptz '2026-01-01 00:00+00' + n * interval '1 hour'
        FROM generate_series(1, 300) AS n
        CROSS JOIN LATERAL (SELECT
            (ARRAY['Plain', 'Nordic', 'Classic', 'Slim', 'Folding'])[1 + n % 5] AS style,
            (ARRAY['Oak', 'Steel', 'Linen', 'Glass', 'Bamboo'])[1 + n / 5 % 5] AS material,
            (ARRAY['brass fittings', 'soft edges', 'a drawer', 'cable ducts'])[1 + n % 4] AS detail
        ) AS words
        JOIN (SELECT id, name, row_number() OVER (ORDER BY id) - 1 AS place
              FROM categories WHERE parent_id IS NOT NULL) AS leaf ON leaf.place = n % 9;

        INSERT INTO stock (product_id, available)
        SELECT id, 1000 FROM products;

        INSERT INTO stock_movements (reference, product_id, quantity, reason, at)
        SELECT 'de000000-0000-4000-8000-000000000001', id, 1000, 'delivery',
               timestamptz '2026-02-01 00:00+00'
        FROM products;
    """)
