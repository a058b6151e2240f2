# packages: wagtail django-q2 psycopg[binary]
# Wagtail with django-q2 as its docs say: settings.DATABASES from libpq's variables.
prepare() {
    wagtail start shop . >/dev/null
    cat >>shop/settings/dev.py <<'PY'
import os
DATABASES = {"default": {
    "ENGINE": "django.db.backends.postgresql", "NAME": os.environ["PGDATABASE"],
    "DISABLE_SERVER_SIDE_CURSORS": os.environ["PGDATABASE"].endswith("-transaction"),
}}
INSTALLED_APPS += ["django_q"]
Q_CLUSTER = {"orm": "default", "workers": 2, "poll": 0.2, "timeout": 60, "retry": 90}
PY
}
migrate() {
    python manage.py migrate -v 0
    python manage.py shell -v 0 -c '
from home.models import HomePage
root = HomePage.objects.get()
for n in range(200):
    root.add_child(instance=HomePage(title=f"page {n}"))'
}
work() { exec python manage.py qcluster; }
use() {
    python manage.py shell -v 0 -c '
import multiprocessing, time
from django import db
from django_q.tasks import async_task, result
from home.models import HomePage

def read(worker):
    db.connections.close_all()
    wanted = [page.title for page in HomePage.objects.order_by("id")[worker:worker + 60]]
    for _ in range(20):
        found = HomePage.objects.order_by("id")[worker:worker + 60].iterator(chunk_size=7)
        assert [page.title for page in found] == wanted, worker

fork = multiprocessing.get_context("fork")
workers = [fork.Process(target=read, args=(n,)) for n in range(0, 60, 10)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert not any(worker.exitcode for worker in workers)
db.connections.close_all()
task = async_task("math.factorial", 5)
assert result(task, wait=30_000) == 120'
}
