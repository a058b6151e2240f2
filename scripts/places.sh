# Where this clone keeps what it installs. Sourced; expects CLONE to be the clone's real path.
#
# Databases run as an unprivileged user that may not be able to enter the clone (a home
# directory is often 0700), so as root nothing that they execute lives in the clone.

if [ "$(id -u)" -eq 0 ]; then
    as_root=yes
    clone_hash=$(printf %s "$CLONE" | sha256sum)
    clone_hash=${clone_hash%"${clone_hash#????????????}"}
    ENVIRONMENT=/var/lib/pgherd/python/$clone_hash
    PROGRAMS=/var/lib/pgherd/programs
else
    as_root=no
    ENVIRONMENT=$CLONE/.venv
    PROGRAMS=$CLONE/.venv/programs
fi
PYTHON=$ENVIRONMENT/bin/python

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf '  hint: %s\n' "$2" >&2
    exit 1
}
