# What the machine has of Debian's packages, and how the missing ones get there. Sourced after
# places.sh.
#
# Installing a server's package must not start that server, nor create a cluster on port 5432:
# both are held back for packages that this run brings in. What was there before is left alone.

SUPPORTED_POSTGRESQL="14 15 16 17 18"

# Those that pgherd supports, of all that are installed.
postgresql_versions() {
    for version in $SUPPORTED_POSTGRESQL; do
        [ ! -x "/usr/lib/postgresql/$version/bin/postgres" ] || printf '%s ' "$version"
    done
}

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

# Quiet unless it fails: then its last lines are shown.
apt_get() {
    apt_log=$(mktemp)
    if DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$apt_log" 2>&1; then
        rm -f "$apt_log"
        return 0
    fi
    tail -n 15 "$apt_log" >&2
    rm -f "$apt_log"
    return 1
}

package_lists_are_known() {
    for package in "$@"; do
        apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
    done
}

update_package_lists() {
    for attempt in 1 2 3; do
        say "reading the distribution's package lists"
        apt_get update && return 0
        warn "reading the package lists failed (attempt $attempt of 3)"
        sleep $((attempt * 3))
    done
    return 1
}

# A package's own start of its server goes through policy-rc.d; 101 means "not allowed".
hold_back_servers() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 0755 $policy
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        trap 'exit 130' INT TERM
        policy_is_ours=yes
    fi
}

let_servers_start() {
    [ "${policy_is_ours:-no}" = no ] || rm -f /usr/sbin/policy-rc.d
    policy_is_ours=no
    trap - EXIT INT TERM
}

hold_back_default_cluster() {
    if [ ! -e /etc/postgresql ] && [ -z "$(ls -d /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ]; then
        mkdir -p /etc/postgresql-common/createcluster.d
        cat >/etc/postgresql-common/createcluster.d/pgherd.conf <<'CONF'
# Written by pgherd's set-up: it makes its own instances and needs no default cluster.
# Remove this file to have one created with the next postgresql-NN package.
create_main_cluster = false
CONF
    fi
}

# On a machine with systemd, a server that came in with its package would start at next boot.
disable_units() {
    command -v systemctl >/dev/null 2>&1 || return 0
    for package in "$@"; do
        case $package in
            etcd-server) systemctl --quiet disable etcd.service 2>/dev/null || : ;;
            pgbouncer) systemctl --quiet disable pgbouncer.service 2>/dev/null || : ;;
            prometheus) systemctl --quiet disable prometheus.service 2>/dev/null || : ;;
        esac
    done
}

ensure_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086 # names are separated by blanks
    set -- $missing
    [ "$as_root" = yes ] || die "packages are missing: $*" \
        "sudo apt-get update && sudo apt-get install --no-install-recommends $*"
    package_lists_are_known "$@" || update_package_lists ||
        die "the distribution's package lists cannot be read" "check this machine's apt sources and network"
    hold_back_servers
    hold_back_default_cluster
    say "installing $*"
    if ! apt_get install --no-install-recommends "$@"; then
        # Lists that are days old name files that the mirror no longer has.
        { update_package_lists && apt_get install --no-install-recommends "$@"; } ||
            die "packages could not be installed: $*" "run 'apt-get install $*' and look at its messages"
    fi
    let_servers_start
    disable_units "$@"
}
