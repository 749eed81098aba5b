#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Say which system packages are missing, with the exact line that installs them; as root, install them.
#   scripts/system_packages.sh run    what the toolkit needs (Python, EGL for previews, X libraries for bpy)
#   scripts/system_packages.sh test   the same, and the programs that judge in the tests: Node.js for the glTF validator,
#                                     Blender, a virtual screen, mouse and screenshots; who is not root may go without
#   scripts/system_packages.sh have   says 1 when all of them are there
set -u

run="python3-venv libegl1 libgl1 libgl1-mesa-dri libx11-6 libxext6 libxrender1 libxi6 libxkbcommon0 libsm6 libice6 libxxf86vm1 libxfixes3 libgomp1"
test="nodejs npm blender python3-numpy xvfb xdotool imagemagick"
wanted="$run"
[ "${1:-run}" = run ] || wanted="$run $test"

command -v dpkg-query >/dev/null 2>&1 || {
    [ "${1:-run}" = have ] || echo "hyoid: this is not a Debian or Ubuntu system: please install what these packages hold: $wanted" >&2
    exit 0
}

missing=""
for package in $wanted; do
    # What is there by another road (a Python or Node.js of its own) need not come from a package.
    case "$package" in
    python3-venv) "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null && continue ;;
    nodejs) command -v node >/dev/null 2>&1 && continue ;;
    npm) command -v npm >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ "${1:-run}" = have ] && {
    [ -n "$missing" ] || echo 1
    exit 0
}
[ -z "$missing" ] && exit 0

line="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    echo "hyoid: installing system packages:$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >/dev/null && $line >/dev/null && exit 0
    echo "hyoid: error: the system packages could not be installed; try: $line" >&2
    exit 1
fi
needed=""
for package in $missing; do
    case " $test " in *" $package "*) ;; *) needed="$needed $package" ;; esac
done
[ -z "$needed" ] && {
    echo "hyoid: warning: tests that need these are skipped:$missing. To have them all, type: sudo $line" >&2
    exit 0
}
echo "hyoid: error: system packages are missing. Type: sudo $line" >&2
exit 1
