#!/bin/sh
# python.sh PYTHON SCRIPT ARGUMENT...: run SCRIPT with PYTHON, or say in one line why that cannot be.
python=$1
shift
if ! command -v "$python" >/dev/null 2>&1; then
    echo "laf: error: there is no Python at '$python'; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3" >&2
    exit 1
fi
# The version as its own question, in words that Python 2 understands too.
if ! found=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null); then
    echo "laf: error: '$python' is Python ${found:-that does not start}; 3.11 or newer is needed: make PYTHON=/path/to/python3" >&2
    exit 1
fi
exec "$python" "$@"
