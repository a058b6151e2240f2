# The mirror of the distribution that this machine's apt names, and the keyring that it trusts it with.
# Sourced.

# Prints "URI KEYRING SUITE" for each active binary source in both of apt's formats; KEYRING is "-" where
# the entry names none.
apt_sources() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
        $1 == "deb" {
            keyring = "-"; field = 2
            if ($2 ~ /^\[/) {
                options = ""
                for (; field <= NF; field++) { options = options " " $field; if ($field ~ /\]$/) break }
                field++
                if (match(options, /signed-by=[^] ]+/)) keyring = substr(options, RSTART + 10, RLENGTH - 10)
            }
            print $field, keyring, $(field + 1)
        }'
    for sources in /etc/apt/sources.list.d/*.sources; do
        [ -e "$sources" ] || continue
        awk '
            function flush(   u, n, uris, s, m, suites) {
                n = split(uri, uris, " "); m = split(suite, suites, " ")
                if (types ~ /(^| )deb( |$)/ && enabled != "no")
                    for (u = 1; u <= n; u++) for (s = 1; s <= m; s++)
                        print uris[u], (keyring == "" ? "-" : keyring), suites[s]
                uri = suite = types = keyring = enabled = ""
            }
            /^#/ { next }
            /^[ \t]*$/ { flush(); next }
            {
                line = $0; key = tolower(line); sub(/:.*/, "", key); sub(/^[^:]*:[ \t]*/, "", line)
                if (key == "uris") uri = line
                else if (key == "suites") suite = line
                else if (key == "types") types = line
                else if (key == "signed-by" && line ~ /^\//) keyring = line
                else if (key == "enabled") enabled = tolower(line)
            }
            END { flush() }' "$sources"
    done
}

machine_codename() {
    (. /etc/os-release && printf %s "${VERSION_CODENAME:-}")
}

# Of the first source that offers the suite; a mirror of security updates alone only where the
# suite's name asks for it.
source_of() {
    apt_sources | awk -v suite="$1" '
        $3 == suite && (suite ~ /security/ || $1 !~ /security/) { print $1, $2; exit }'
}

# Nothing where no source offers the suite.
mirror_of() {
    source_of "$1" | cut -d ' ' -f 1
}

# "-" where the source names none.
keyring_of() {
    source_of "$1" | cut -d ' ' -f 2
}
