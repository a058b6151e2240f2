# The installed copy of pgherd. Sourced after places.sh; on the path of every command, so it costs
# one process when the copy is current.
#
# ctime rather than mtime, since a checkout or a copy may set the latter back; the inode tells
# another tree that was moved to this place.

ensure_copy() {
    copied=$ENVIRONMENT/lib/pgherd/copied
    inode=
    [ ! -r "$copied" ] || read -r inode <"$copied" || :
    if [ -z "$inode" ] || [ -n "$(find "$CLONE/src/pgherd" -name __pycache__ -prune -o \
        \( -cnewer "$copied" -o -path "$CLONE/src/pgherd" ! -inum "$inode" \) -print -quit)" ]; then
        "$PYTHON" -I "$CLONE/scripts/install_copy.py" "$CLONE/src/pgherd" "$ENVIRONMENT"
    fi
}
