# packages: django-oscar[sorl-thumbnail] psycopg2-binary
# A shop of django-oscar, with the settings of its own documentation.
prepare() {
    django-admin startproject shop .
    cat >>shop/settings.py <<'PY'
import os
from oscar.defaults import *
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
    "DISABLE_SERVER_SIDE_CURSORS": os.environ["PGDATABASE"].endswith("-transaction"),
}}
SITE_ID = 1
INSTALLED_APPS += [
    "django.contrib.sites", "django.contrib.flatpages", "oscar.config.Shop",
    "oscar.apps.analytics.apps.AnalyticsConfig", "oscar.apps.checkout.apps.CheckoutConfig",
    "oscar.apps.address.apps.AddressConfig", "oscar.apps.shipping.apps.ShippingConfig",
    "oscar.apps.catalogue.apps.CatalogueConfig",
    "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "oscar.apps.communication.apps.CommunicationConfig", "oscar.apps.partner.apps.PartnerConfig",
    "oscar.apps.basket.apps.BasketConfig", "oscar.apps.payment.apps.PaymentConfig",
    "oscar.apps.offer.apps.OfferConfig", "oscar.apps.order.apps.OrderConfig",
    "oscar.apps.customer.apps.CustomerConfig", "oscar.apps.search.apps.SearchConfig",
    "oscar.apps.voucher.apps.VoucherConfig", "oscar.apps.wishlists.apps.WishlistsConfig",
    "oscar.apps.dashboard.apps.DashboardConfig",
    "oscar.apps.dashboard.reports.apps.ReportsDashboardConfig",
    "oscar.apps.dashboard.users.apps.UsersDashboardConfig",
    "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig",
    "oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig",
    "oscar.apps.dashboard.offers.apps.OffersDashboardConfig",
    "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig",
    "oscar.apps.dashboard.pages.apps.PagesDashboardConfig",
    "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig",
    "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig",
    "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig",
    "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig",
    "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig",
    "widget_tweaks", "haystack", "treebeard", "sorl.thumbnail", "django_tables2",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
ROOT_URLCONF = "shop.urls"
PY
}
migrate() { python manage.py migrate -v 0; }
use() {
    python manage.py shell -c "
import multiprocessing
from decimal import Decimal
from django import db
from oscar.core.loading import get_model
Product, Kind = get_model('catalogue', 'Product'), get_model('catalogue', 'ProductClass')
kind, _ = Kind.objects.get_or_create(name='book')
for n in range(50):
    Product.objects.create(product_class=kind, title=f'book $1 {n}', upc=f'$1-{n}')

def export(worker):
    db.connections.close_all()
    wanted = list(Product.objects.order_by('id').values_list('upc', flat=True)[worker:worker + 30])
    for _ in range(20):
        rows = Product.objects.order_by('id').values_list('upc', flat=True)[worker:worker + 30]
        assert list(rows.iterator(chunk_size=4)) == wanted, worker

fork = multiprocessing.get_context('fork')
workers = [fork.Process(target=export, args=(n,)) for n in range(6)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert not any(worker.exitcode for worker in workers)
"
}
