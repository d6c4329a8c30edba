# What the scripts share: where the repository and the cache are, how a folder gets into the cache, and
# how a script gives up. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RSAMP_CACHE:-$repository/.cache}

# fail MESSAGE HINT
fail() {
    printf '%s: %s\nhint: %s\n' "scripts/$(basename "$0")" "$1" "$2" >&2
    exit 1
}

# RSAMP_PYTHONS and its like hold commands as words with spaces between them.
case $cache in
    *[[:space:]]*) fail "the cache's path has a space in it: $cache" 'set RSAMP_CACHE to a path without one' ;;
esac

# make_once NAME FUNCTION: unless it is there already, makes the folder NAME in the cache by calling
# FUNCTION FOLDER, and prints what that says on standard error. Of several scripts that want it at the
# same time, one makes it and the others wait. The folder is made where it stays (a virtual environment
# can't be moved); the file `made` in it says that it is whole.
make_once() {
    local folder=$cache/$1
    [[ -e $folder/made ]] && return
    mkdir -p "$cache"
    (
        flock 9
        [[ -e $folder/made ]] && exit
        rm -rf "$folder"
        mkdir "$folder"
        "$2" "$folder" >&2
        touch "$folder/made"
    ) 9>"$folder.lock"
}

# A short name for what is made of the words given: another word, another name.
name_of() {
    local sum
    sum=$(cksum <<<"$*")
    printf '%s' "${sum%% *}"
}

# The command of the first interpreter of that minor version that scripts/pythons finds.
python_of() {
    "$repository/scripts/pythons" | awk -F '\t' -v minor="$1." 'index($1, minor) == 1 { print $2; exit }'
}
