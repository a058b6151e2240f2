"""What has to be true when the customers have left.

FOUND: how each acknowledged thing is found again, by its id; what is not found was lost.
INVARIANTS: what holds in a service's database at any moment; each statement counts where it
does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from door import Door

BATCH = 5000

FOUND: Mapping[str, Mapping[str, str]] = {
    "auth": {
        "account": "SELECT id FROM accounts WHERE id = ANY(%s)",
        "session": "SELECT id FROM sessions WHERE id = ANY(%s)",
        "revoked session": "SELECT id FROM sessions WHERE id = ANY(%s) AND revoked_at IS NOT NULL",
    },
    "user": {"profile": "SELECT id FROM profiles WHERE id = ANY(%s)"},
    "product": {
        "reservation": "SELECT reference FROM stock_movements"
        " WHERE reference = ANY(%s) AND reason = 'reservation'",
    },
    "cart": {
        "cart": "SELECT id FROM carts WHERE id = ANY(%s)",
        "ordered cart": "SELECT id FROM carts WHERE id = ANY(%s) AND status = 'ordered'",
    },
    "order": {
        "order": "SELECT id FROM orders WHERE id = ANY(%s)",
        "paid order": "SELECT id FROM orders WHERE id = ANY(%s) AND status >= 'paid'",
        "shipped order": "SELECT id FROM orders WHERE id = ANY(%s) AND status >= 'shipped'",
        "returned order": "SELECT id FROM orders WHERE id = ANY(%s) AND status = 'returned'",
    },
    "payment": {
        "payment": "SELECT id FROM payments WHERE id = ANY(%s)",
        "paid order": "SELECT order_id FROM payments WHERE order_id = ANY(%s)"
        " AND status <> 'failed' GROUP BY order_id HAVING count(*) = 1",
        "refund": "SELECT id FROM refunds WHERE id = ANY(%s)",
    },
    "notification": {"notification": "SELECT id FROM notifications WHERE id = ANY(%s)"},
    "discount": {"redemption": "SELECT order_id FROM redemptions WHERE order_id = ANY(%s)"},
    "shipping": {
        "shipment": "SELECT id FROM shipments WHERE id = ANY(%s)",
        "handed over shipment": "SELECT id FROM shipments"
        " WHERE id = ANY(%s) AND status = 'handed_over'",
    },
    "return": {
        "return": "SELECT id FROM returns WHERE id = ANY(%s)",
        "closed return": "SELECT id FROM returns WHERE id = ANY(%s) AND closed_at IS NOT NULL",
    },
}

INVARIANTS: Mapping[str, Mapping[str, str]] = {
    "auth": {
        "a session begins with a successful attempt": "SELECT count(*) FROM sessions AS s"
        " WHERE NOT EXISTS (SELECT FROM login_attempts AS a"
        " WHERE a.account_id = s.account_id AND a.succeeded)",
    },
    "user": {
        "a profile has a default address": "SELECT count(*) FROM profiles AS p"
        " WHERE NOT EXISTS (SELECT FROM addresses AS a"
        " WHERE a.profile_id = p.id AND a.is_default)",
    },
    "product": {
        "the stock is the sum of its movements": "SELECT count(*) FROM stock AS s JOIN"
        " (SELECT product_id, sum(quantity) AS moved FROM stock_movements GROUP BY 1) AS m"
        " USING (product_id) WHERE s.available <> m.moved",
    },
    "cart": {
        "an ordered cart has items": "SELECT count(*) FROM carts AS c WHERE status = 'ordered'"
        " AND NOT EXISTS (SELECT FROM cart_items AS i WHERE i.cart_id = c.id)",
    },
    "order": {
        "the total is the lines less the discount": "SELECT count(*) FROM orders AS o WHERE"
        " total_minor + discount_minor IS DISTINCT FROM (SELECT sum(quantity * unit_price_minor)"
        " FROM order_lines AS l WHERE l.order_id = o.id)",
        "an order has the event of its status": "SELECT count(*) FROM orders AS o"
        " WHERE NOT EXISTS (SELECT FROM order_events AS e"
        " WHERE e.order_id = o.id AND e.status = o.status)",
    },
    "payment": {
        "the ledger adds up to nothing": "SELECT count(*) FROM"
        " (SELECT FROM ledger_entries GROUP BY reference HAVING sum(amount_minor) <> 0) AS off",
        "a payment is booked": "SELECT count(*) FROM payments AS p WHERE status <> 'failed'"
        " AND NOT EXISTS (SELECT FROM ledger_entries AS e WHERE e.reference = p.id"
        " AND e.account = 'merchant' AND e.amount_minor = p.amount_minor)",
        "a refunded payment has its refund": "SELECT count(*) FROM payments AS p"
        " WHERE (status = 'refunded') <> EXISTS (SELECT FROM refunds AS r"
        " WHERE r.payment_id = p.id AND r.amount_minor = p.amount_minor)",
    },
    "notification": {
        "a welcome was sent": "SELECT count(*) FROM notifications"
        " WHERE template_code = 'welcome' AND status <> 'sent'",
    },
    "discount": {
        "a coupon counts its redemptions": "SELECT count(*) FROM coupons AS c WHERE redeemed <>"
        " (SELECT count(*) FROM redemptions AS r WHERE r.coupon_code = c.code)",
    },
    "shipping": {
        "a parcel was seen where it is": "SELECT count(*) FROM shipments AS s"
        " WHERE NOT EXISTS (SELECT FROM tracking_events AS e"
        " WHERE e.shipment_id = s.id AND e.status = s.status)",
    },
    "return": {
        "a return has lines": "SELECT count(*) FROM returns AS r"
        " WHERE NOT EXISTS (SELECT FROM return_lines AS l WHERE l.return_id = r.id)",
    },
}


async def lost(service: str, entries: Mapping[str, list[UUID]], door: Door) -> dict[str, list[str]]:
    """What was acknowledged and is not there, by kind."""
    missing: dict[str, list[str]] = {}
    for kind, ids in entries.items():
        gone = set(ids)
        for begin in range(0, len(ids), BATCH):
            rows = await door.query(FOUND[service][kind], [ids[begin : begin + BATCH]])
            gone.difference_update(row[0] for row in rows)
        if gone:
            missing[kind] = sorted(map(str, gone))
    return missing


async def invariants(service: str, door: Door) -> list[dict[str, Any]]:
    """Each invariant of a service and how often it is violated."""
    return [
        {"name": name, "violations": (await door.query(statement))[0][0]}
        for name, statement in INVARIANTS[service].items()
    ]
