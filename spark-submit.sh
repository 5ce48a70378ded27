#!/usr/bin/env bash
# Sets up .venv and Java where needed, then becomes spark-submit.
set -euo pipefail

usage() {
  cat <<'END'
usage: ./spark-submit.sh                                         train on the demo corpus, into out/demo
       ./spark-submit.sh [spark-submit options] JOB [arguments]  run a job, such as jobs/train.py
       ./spark-submit.sh --pack [PACKAGE...]                     build build/environment.tar.gz, the Python packages
                                                                 (and those you add) for workers that lack them
       ./spark-submit.sh --help | --spark-help                   this text | spark-submit's options

The first run sets up .venv from requirements.lock. The master is local[*] unless you name one. On any other master
w2v_spark travels with the job, and build/environment.tar.gz too where it exists.

What a job takes: ./spark-submit.sh jobs/train.py --help
Environment: JAVA_HOME, SPARK_HOME, SPARK_CONF_DIR, PYSPARK_PYTHON as for Spark; W2V_PYTHON, the Python that makes .venv.
END
}

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
case ${1:-} in
  -h | --help)
    usage
    exit 0
    ;;
esac
. "$root/conf/environment.sh"
set_up requirements.lock
if [ "${1:-}" = --pack ]; then
  shift
  exec "$venv/bin/python" -I "$root/conf/pack.py" "$@"
fi
set_java
# spark-submit puts a pipe between the job and the terminal
if [ -t 1 ]; then export W2V_TERMINAL=1; fi
exec "$venv/bin/python" -E -s "$root/conf/submit.py" "$@"
