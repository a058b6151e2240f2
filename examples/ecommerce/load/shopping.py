"""What a customer does before an order: auth, user, product, cart, discount."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid4

from door import Connection
from visit import CURRENCY, Desk, Item, Visit

WORDS = ("oak", "steel", "linen", "glass", "folding", "nordic", "drawer", "edges", "lamp", "chair")
CATEGORIES = tuple(f"{a}-{b}" for a in ("home", "garden", "office") for b in ("lamps", "chairs"))
DELIVERY = 1000


async def sign_in(auth: Desk, visit: Visit) -> None:
    """Register or log in: an account, an attempt, a session."""
    customer, attempt = visit.customer, uuid4()
    found = await auth.read("SELECT id FROM accounts WHERE email = %s", [customer.email])
    token = hashlib.sha256(visit.session.bytes).digest()

    async def work(connection: Connection) -> None:
        if not found:
            await connection.execute(
                "INSERT INTO accounts (id, email, password_hash) VALUES (%s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [customer.id, customer.email, f"$argon2id$v=19$m=19456,t=2,p=1${token.hex()}"],
            )
        await connection.execute(
            "INSERT INTO login_attempts (id, account_id, succeeded) VALUES (%s, %s, true)"
            " ON CONFLICT DO NOTHING",
            [attempt, customer.id],
        )
        await connection.execute(
            "INSERT INTO sessions (id, account_id, token_hash, expires_at)"
            " VALUES (%s, %s, %s, now() + interval '1 day') ON CONFLICT DO NOTHING",
            [visit.session, customer.id, token],
        )
        await connection.execute(
            "UPDATE accounts SET last_login_at = now() WHERE id = %s", [customer.id]
        )

    await auth.write(work)
    auth.ledger.add("account", customer.id)
    auth.ledger.add("session", visit.session)


async def sign_out(auth: Desk, visit: Visit) -> None:
    """The session is over."""

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE sessions SET revoked_at = now() WHERE id = %s AND revoked_at IS NULL",
            [visit.session],
        )

    await auth.write(work)
    auth.ledger.add("revoked session", visit.session)


async def open_profile(user: Desk, visit: Visit) -> None:
    """New customers say who they are; the others look, and sometimes change their mind."""
    customer = visit.customer
    address = uuid4()
    newsletter = user.rng.random() < 0.5

    async def register(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO profiles (id, display_name, email) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [customer.id, f"Customer {customer.id.hex[:6]}", customer.email],
        )
        await connection.execute(
            "INSERT INTO addresses (id, profile_id, kind, line, postcode, city, country,"
            " is_default) VALUES (%s, %s, 'shipping', '1 Quay', '10115', 'Berlin', 'DE', true)"
            " ON CONFLICT DO NOTHING",
            [address, customer.id],
        )

    async def subscribe(connection: Connection) -> None:
        await connection.execute(
            "UPDATE profiles SET newsletter = %s, updated_at = now() WHERE id = %s",
            [newsletter, customer.id],
        )

    if visit.is_new:
        await user.write(register)
        user.ledger.add("profile", customer.id)
        return
    await user.look(
        "SELECT p.display_name, p.newsletter, a.city, a.country FROM profiles AS p"
        " LEFT JOIN addresses AS a ON a.profile_id = p.id AND a.is_default WHERE p.id = %s",
        [customer.id],
    )
    if user.rng.random() < 0.3:
        await user.write(subscribe)


async def browse(product: Desk, visit: Visit) -> None:
    """A category, a search, a closer look at some; these are what the customer wants."""
    rng = product.rng
    listed = await product.look(
        "SELECT p.id, p.name, p.price_minor FROM products AS p"
        " JOIN categories AS c ON c.id = p.category_id"
        " WHERE c.slug = %s AND p.is_active ORDER BY p.price_minor LIMIT 20",
        [rng.choice(CATEGORIES)],
    )
    found = await product.look(
        "SELECT id, name, price_minor FROM products,"
        " websearch_to_tsquery('english', %s) AS wanted"
        " WHERE search @@ wanted AND is_active ORDER BY ts_rank(search, wanted) DESC, id LIMIT 10",
        [" or ".join(rng.sample(WORDS, 2))],
    )
    offered = list({row[0]: row for row in (*listed, *found)}.values())
    if not offered:
        return
    chosen = rng.sample(offered, min(len(offered), rng.randint(1, 3)))
    visit.items = [Item(id, name, rng.randint(1, 3), price) for id, name, price in chosen]
    for item in visit.items:
        await product.look(
            "SELECT p.name, p.description, p.price_minor, s.available FROM products AS p"
            " JOIN stock AS s ON s.product_id = p.id WHERE p.id = %s",
            [item.product],
        )


async def reserve(product: Desk, visit: Visit) -> None:
    """Take the items out of the stock; order a delivery where there are not enough."""

    async def work(connection: Connection) -> bool:
        is_known = False
        # In one order everywhere, so that two customers never wait for each other.
        for item in sorted(visit.items, key=lambda item: item.product):
            row = await (
                await connection.execute(
                    "SELECT available FROM stock WHERE product_id = %s FOR UPDATE", [item.product]
                )
            ).fetchone()
            if row is None:
                continue
            is_known = True
            if row[0] < item.quantity:
                await move(connection, uuid4(), item, DELIVERY, "delivery")
            await move(connection, visit.order, item, -item.quantity, "reservation")
        return is_known

    if await product.write(work):
        product.ledger.add("reservation", visit.order)


async def take_back(product: Desk, visit: Visit) -> None:
    """What came back is in stock again."""

    async def work(connection: Connection) -> None:
        for item in sorted(visit.items, key=lambda item: item.product):
            await move(connection, visit.goods_return, item, item.quantity, "return")

    await product.write(work)


async def move(
    connection: Connection, reference: object, item: Item, quantity: int, reason: str
) -> None:
    """A movement and its effect on the stock, or nothing if it is booked already."""
    moved = await connection.execute(
        "INSERT INTO stock_movements (reference, product_id, quantity, reason)"
        " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        [reference, item.product, quantity, reason],
    )
    if moved.rowcount:
        await connection.execute(
            "UPDATE stock SET available = available + %s WHERE product_id = %s",
            [quantity, item.product],
        )


async def fill_cart(cart: Desk, visit: Visit) -> None:
    """The customer's open cart, or a new one, with the items in it."""
    customer = visit.customer.id
    products = [item.product for item in visit.items]
    quantities = [item.quantity for item in visit.items]
    prices = [item.price for item in visit.items]

    async def work(connection: Connection) -> UUID | None:
        await connection.execute(
            "INSERT INTO carts (id, customer_id, currency) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [visit.cart, customer, CURRENCY],
        )
        found = await connection.execute(
            "UPDATE carts SET updated_at = now() WHERE customer_id = %s AND status = 'open'"
            " RETURNING id",
            [customer],
        )
        row = await found.fetchone()
        if row is None:
            return None
        await connection.execute(
            "INSERT INTO cart_items (cart_id, product_id, quantity, unit_price_minor)"
            " SELECT %s, * FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[])"
            " ON CONFLICT (cart_id, product_id) DO UPDATE SET quantity = excluded.quantity",
            [row[0], products, quantities, prices],
        )
        open_cart: UUID = row[0]
        return open_cart

    # The customer may be checking out on another device: then there is no open cart just now.
    while (its_cart := await cart.write(work)) is None:
        pass
    visit.cart = its_cart
    cart.ledger.add("cart", visit.cart)
    await cart.look(
        "SELECT product_id, quantity, unit_price_minor FROM cart_items WHERE cart_id = %s",
        [visit.cart],
    )


async def check_out(cart: Desk, visit: Visit) -> None:
    """The cart becomes an order."""

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE carts SET status = 'ordered', updated_at = now() WHERE id = %s", [visit.cart]
        )

    await cart.write(work)
    cart.ledger.add("ordered cart", visit.cart)


async def redeem(discount: Desk, visit: Visit) -> None:
    """A coupon that runs now and is not used up, if there is one and it still is not."""
    if discount.rng.random() < 0.3:
        return
    coupons = await discount.look(
        "SELECT code, percent FROM coupons JOIN campaigns ON campaigns.id = campaign_id"
        " WHERE during @> now() AND (max_redemptions IS NULL OR redeemed < max_redemptions)"
        " ORDER BY code"
    )
    if not coupons:
        return
    code, percent = discount.rng.choice(coupons)
    amount = visit.goods * percent // 100

    async def work(connection: Connection) -> bool:
        used = await connection.execute(
            "SELECT FROM coupons WHERE code = %s"
            " AND (max_redemptions IS NULL OR redeemed < max_redemptions) FOR UPDATE",
            [code],
        )
        is_left = used.rowcount == 1
        if is_left:
            noted = await connection.execute(
                "INSERT INTO redemptions (order_id, coupon_code, customer_id, amount_minor)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [visit.order, code, visit.customer.id, amount],
            )
            await connection.execute(
                "UPDATE coupons SET redeemed = redeemed + %s WHERE code = %s",
                [noted.rowcount, code],
            )
        return is_left

    if await discount.write(work):
        visit.discount = amount
        discount.ledger.add("redemption", visit.order)
