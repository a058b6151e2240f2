"""What follows from an order: order, payment, shipping, notification, return."""

from __future__ import annotations

from uuid import UUID, uuid4

from door import Connection
from visit import CURRENCY, Desk, Visit

CARRIERS = ("heron", "stork", "tern", "wren")
REASONS = ("changed_mind", "damaged", "not_as_described", "too_late")


async def place_order(order: Desk, visit: Visit) -> None:
    """The order, its lines and its first event; then the customer looks at past orders."""
    items = visit.items

    async def work(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO orders (id, customer_id, cart_id, discount_minor, total_minor, currency)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [visit.order, visit.customer.id, visit.cart, visit.discount, visit.total, CURRENCY],
        )
        await connection.execute(
            "INSERT INTO order_lines (order_id, line, product_id, name, quantity,"
            " unit_price_minor) SELECT %s, line, product, name, quantity, price"
            " FROM unnest(%s::uuid[], %s::text[], %s::smallint[], %s::bigint[])"
            " WITH ORDINALITY AS item (product, name, quantity, price, line)"
            " ON CONFLICT DO NOTHING",
            [
                visit.order,
                [item.product for item in items],
                [item.name for item in items],
                [item.quantity for item in items],
                [item.price for item in items],
            ],
        )
        await note(connection, visit.order, "placed")

    await order.write(work)
    order.ledger.add("order", visit.order)
    await order.look(
        "SELECT id, status, total_minor, placed_at FROM orders WHERE customer_id = %s"
        " ORDER BY placed_at DESC LIMIT 10",
        [visit.customer.id],
    )


async def mark_paid(order: Desk, visit: Visit) -> None:
    """The payment service has the money."""
    await advance(order, visit.order, "paid")


async def mark_shipped(order: Desk, visit: Visit) -> None:
    """The parcel has left."""
    await advance(order, visit.order, "shipped")


async def mark_returned(order: Desk, visit: Visit) -> None:
    """The goods came back."""
    await advance(order, visit.order, "returned")


async def advance(order: Desk, id: UUID, status: str) -> None:
    """An order and its event go on together, and never back."""

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE orders SET status = %s::order_status"
            " WHERE id = %s AND status < %s::order_status",
            [status, id, status],
        )
        await note(connection, id, status)

    await order.write(work)
    order.ledger.add(f"{status} order", id)


async def note(connection: Connection, order: UUID, status: str) -> None:
    """What happened to an order, once."""
    await connection.execute(
        "INSERT INTO order_events (order_id, status) VALUES (%s, %s::order_status)"
        " ON CONFLICT DO NOTHING",
        [order, status],
    )


async def pay(payment: Desk, visit: Visit) -> None:
    """Capture the total with the customer's method, and book it."""

    async def work(connection: Connection) -> None:
        found = await connection.execute(
            "SELECT id FROM payment_methods WHERE customer_id = %s ORDER BY created_at LIMIT 1",
            [visit.customer.id],
        )
        row = await found.fetchone()
        if row is None:
            await connection.execute(
                "INSERT INTO payment_methods (id, customer_id, kind, last_digits)"
                " VALUES (%s, %s, 'card', '4242') ON CONFLICT DO NOTHING",
                [visit.method, visit.customer.id],
            )
        await connection.execute(
            "INSERT INTO payments (id, order_id, method_id, amount_minor, currency, status)"
            " VALUES (%s, %s, %s, %s, %s, 'captured') ON CONFLICT DO NOTHING",
            [visit.payment, visit.order, row[0] if row else visit.method, visit.total, CURRENCY],
        )
        await book(connection, visit.payment, visit.total)

    await payment.write(work)
    payment.ledger.add("payment", visit.payment)
    payment.ledger.add("paid order", visit.order)


async def refund(payment: Desk, visit: Visit) -> None:
    """Give the money back, and book that."""

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE payments SET status = 'refunded' WHERE id = %s", [visit.payment]
        )
        await connection.execute(
            "INSERT INTO refunds (id, payment_id, return_id, amount_minor)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [visit.refund, visit.payment, visit.goods_return, visit.total],
        )
        await book(connection, visit.refund, -visit.total)

    await payment.write(work)
    payment.ledger.add("refund", visit.refund)


async def book(connection: Connection, reference: UUID, amount: int) -> None:
    """Money moves from one account to the other: the two entries add up to nothing."""
    await connection.execute(
        "INSERT INTO ledger_entries (reference, account, amount_minor)"
        " VALUES (%s, 'merchant', %s), (%s, 'customers', %s) ON CONFLICT DO NOTHING",
        [reference, amount, reference, -amount],
    )


async def ship(shipping: Desk, visit: Visit) -> None:
    """Pack the parcel, hand it over, look where it is."""
    carrier = shipping.rng.choice(CARRIERS)
    grams = 250 * sum(item.quantity for item in visit.items)

    async def pack(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO shipments (id, order_id, carrier_code, country, grams)"
            " VALUES (%s, %s, %s, 'DE', %s) ON CONFLICT DO NOTHING",
            [visit.shipment, visit.order, carrier, grams],
        )
        await track(connection, visit.shipment, "packed", "warehouse")

    async def hand_over(connection: Connection) -> None:
        await connection.execute(
            "UPDATE shipments SET status = 'handed_over' WHERE id = %s", [visit.shipment]
        )
        await track(connection, visit.shipment, "handed_over", "depot")

    await shipping.write(pack)
    shipping.ledger.add("shipment", visit.shipment)
    await shipping.write(hand_over)
    shipping.ledger.add("handed over shipment", visit.shipment)
    await shipping.look(
        "SELECT status, place, at FROM tracking_events WHERE shipment_id = %s ORDER BY at",
        [visit.shipment],
    )


async def track(connection: Connection, shipment: UUID, status: str, place: str) -> None:
    """Where a parcel was seen, once for each status."""
    await connection.execute(
        "INSERT INTO tracking_events (shipment_id, status, place)"
        " VALUES (%s, %s::shipment_status, %s) ON CONFLICT DO NOTHING",
        [shipment, status, place],
    )


async def tell(notification: Desk, visit: Visit) -> None:
    """Queue a message, send what waits longest, look into the customer's inbox."""
    message = uuid4()

    async def queue(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO notifications (id, customer_id, template_code, payload)"
            " VALUES (%s, %s, 'order_shipped', jsonb_build_object('order', %s::text))"
            " ON CONFLICT DO NOTHING",
            [message, visit.customer.id, str(visit.order)],
        )

    async def send(connection: Connection) -> None:
        await connection.execute(
            "WITH waiting AS (SELECT id FROM notifications WHERE status = 'queued'"
            " ORDER BY queued_at LIMIT 5 FOR UPDATE SKIP LOCKED)"
            " UPDATE notifications SET status = 'sent', sent_at = now()"
            " FROM waiting WHERE notifications.id = waiting.id"
        )

    await notification.write(queue)
    notification.ledger.add("notification", message)
    await notification.write(send)
    await notification.look(
        "SELECT template_code, payload, status FROM notifications WHERE customer_id = %s"
        " ORDER BY queued_at DESC LIMIT 10",
        [visit.customer.id],
    )


async def request_return(desk: Desk, visit: Visit) -> None:
    """The customer sends everything back."""
    reason = desk.rng.choice(REASONS)

    async def work(connection: Connection) -> None:
        await connection.execute(
            "INSERT INTO returns (id, order_id, customer_id, reason_code)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [visit.goods_return, visit.order, visit.customer.id, reason],
        )
        await connection.execute(
            "INSERT INTO return_lines (return_id, product_id, quantity)"
            " SELECT %s, * FROM unnest(%s::uuid[], %s::smallint[]) ON CONFLICT DO NOTHING",
            [
                visit.goods_return,
                [item.product for item in visit.items],
                [item.quantity for item in visit.items],
            ],
        )

    await desk.write(work)
    desk.ledger.add("return", visit.goods_return)
    await desk.look(
        "SELECT r.status, reasons.title FROM returns AS r"
        " JOIN reasons ON reasons.code = r.reason_code WHERE r.customer_id = %s"
        " ORDER BY r.requested_at DESC LIMIT 10",
        [visit.customer.id],
    )


async def close_return(desk: Desk, visit: Visit) -> None:
    """The goods are there and the money is back."""

    async def work(connection: Connection) -> None:
        await connection.execute(
            "UPDATE returns SET status = 'refunded', closed_at = now()"
            " WHERE id = %s AND closed_at IS NULL",
            [visit.goods_return],
        )

    await desk.write(work)
    desk.ledger.add("closed return", visit.goods_return)
