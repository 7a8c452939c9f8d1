#!/bin/sh
{ # The shell reads up to the closing brace before it runs anything: a file that was cut off does nothing, and fails.
# Installs this bundle into a folder of your choice: ./install.sh DST
# All that happens here is to look at the signature, if that is asked for, and to find the right Python; the rest is
# data/bootstrap/platter_payload.
set -eu

usage() {
    cat <<'END'
usage: ./install.sh [OPTIONS] DST
       ./install.sh [OPTIONS] --root ROOT

Install this bundle into DST as a virtualenv of its own, or as a release
beside others. Nothing is downloaded.

  -p, --python PYTHON  interpreter to use
      --check          look whether it can be installed, or still runs; touch
                       nothing
      --compile        compile the modules that come without bytecode
      --force          replace what is at DST
      --allowed-signers FILE
                       install only what is signed by one of these (see
                       ssh-keygen(1)); needs ssh-keygen
  -q, --quiet          print errors only
  -h, --help           this page
      --version        name and version of what is bundled

Releases:
      --root ROOT      install into ROOT/versions/VERSION, then let
                       ROOT/versions/current point at it; ROOT/platter lists
                       releases, activates them, rolls back and prunes
      --no-activate    leave current as it is
      --keep N         afterwards remove all but the N newest releases, the
                       active one and the one before it
      --new-signer     with --allowed-signers: accept another signer than that
                       of the newest signed release in ROOT
      --health-check CMD  before the switch, run CMD in the new release
      --reload CMD     after the switch, run CMD
      --no-health-check, --no-reload
                       leave it out; otherwise CMD is that of the last time,
                       which ROOT keeps in a file that its owner alone reads
    CMD is for sh -c, with the release's virtualenv active and HERE (its
    folder, where CMD starts), PLATTER_ROOT and PLATTER_VERSION set. If it
    fails the release stays installed, and the one before is active again (and
    reloaded).

Exit codes: 0 done, 1 failed, 2 usage, 3 no fitting Python, 4 bundle damaged,
5 host does not fit, 6 destination in the way or locked, 7 post-install.sh
failed, 8 health check or reload failed.
After a failure, but for 8, DST or ROOT is as it was before.
END
}

fail() { # STATUS MESSAGE HINT
    printf 'install.sh: %s\nhint: %s\n' "$2" "$3" >&2 || echo "install.sh: $2" >&2 # not every shell has a printf of its own
    exit "$1"
}

# Without relative folders: what PATH finds in the current one, which may be the bundle, is not the system's.
# An empty PATH would mean the current folder, too.
usual=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
rest=${PATH:-$usual}:
kept=
while [ -n "$rest" ]; do
    case $rest in /*) kept=$kept${kept:+:}${rest%%:*} ;; esac
    rest=${rest#*:}
done
PATH=${kept:-$usual}
export PATH

# The bundle's folder, also when this is called through a link.
self=$0
case $self in */*) ;; *) [ -e "./$self" ] || self=$(command -v -- "$self") ;; esac
hops=0
while [ -h "$self" ] && [ "$hops" -lt 40 ]; do
    link=$(readlink "$self")
    case $link in /*) self=$link ;; */* | *) case $self in */*) self=${self%/*}/$link ;; *) self=$link ;; esac ;; esac
    hops=$((hops + 1))
done
case $self in */*) here=${self%/*} ;; *) here=. ;; esac
case $here in '' | /* | ./* | .) ;; *) here=./$here ;; esac

newline='
'

first_line() { # FILE
    line=
    [ ! -r "$1" ] || IFS= read -r line <"$1" || :
    printf '%s' "$line"
}

wanted=
signers=
signer=
previous=
for argument do
    if [ -n "$previous" ]; then
        [ -n "$argument" ] || break
        case $previous in
        -p | --python) wanted=$argument ;;
        --allowed-signers) signers=$argument ;;
        esac
        previous=
        continue
    fi
    case $argument in
    --) break ;;
    -h | --help)
        usage
        exit 0
        ;;
    --version)
        package=$(first_line "$here/PACKAGE")
        release=$(first_line "$here/VERSION")
        case $package$release in
        *[!A-Za-z0-9._+!-]*) fail 4 "$here/PACKAGE or $here/VERSION holds no name or version" 'copy the bundle to this machine again' ;;
        esac
        printf '%s %s\n' "$package" "$release"
        exit 0
        ;;
    --python=*) wanted=${argument#--python=} ;;
    -p?*) wanted=${argument#-p} ;;
    --allowed-signers=?*) signers=${argument#--allowed-signers=} ;;
    esac
    case $argument in
    --python= | --allowed-signers=) fail 2 "${argument%=} needs a value" './install.sh --help lists the options' ;;
    -p | --python | --allowed-signers | --root | --keep | --health-check | --reload) previous=$argument ;;
    esac
done
[ -z "$previous" ] || fail 2 "$previous needs a value" './install.sh --help lists the options'

# The signature speaks for SHA256SUMS, and that for every other file: nothing of the bundle is used before.
if [ -n "$signers" ]; then
    sums=$here/SHA256SUMS
    [ -r "$signers" ] || fail 2 "$signers cannot be read" 'name an allowed signers file, as ssh-keygen(1) describes it'
    command -v ssh-keygen >/dev/null || fail 5 '--allowed-signers needs ssh-keygen, which is not on this machine' \
        "install OpenSSH's client programs, or check the bundle where they are"
    [ -r "$sums.sig" ] || fail 4 "$here is not signed" 'get a bundle that is: it was built without --sign-with'
    maker=$(ssh-keygen -Y check-novalidate -n platter -s "$sums.sig" <"$sums" 2>&1) ||
        fail 4 "$sums.sig is no signature of SHA256SUMS: $maker" 'do not install this bundle: it was changed'
    signer=$(ssh-keygen -Y find-principals -s "$sums.sig" -f "$signers" 2>/dev/null) || signer=
    signer=${signer%%"$newline"*}
    ssh-keygen -Y verify -n platter -s "$sums.sig" -f "$signers" -I "$signer" <"$sums" >/dev/null 2>&1 ||
        fail 4 "$here is signed with ${maker##* with }, which $signers does not allow" \
            'do not install this bundle unless you know whose key that is'
fi

PLATTER_SIGNER=$signer # which the payload takes out of the environment
export PLATTER_SIGNER

# The top-level line of info.json that names the Python which this bundle was made for.
version=
if [ -r "$here/info.json" ]; then
    while IFS= read -r line; do
        case $line in
        '  "python": "'*'"'*)
            version=${line#'  "python": "'}
            version=${version%%'"'*}
            break
            ;;
        esac
    done <"$here/info.json"
fi
case $version in
*[!0-9.]* | *.*.*) version= ;; # it becomes the name of a command
esac
case $version in
[0-9]*.[0-9]*) ;;
*) fail 4 "$here/info.json does not name a Python version" 'copy the bundle to this machine again' ;;
esac

# -E and -S: neither the environment nor site packages have a say. Python 2 knows both options.
version_of() { # PYTHON
    "$1" -E -S -c 'import sys; sys.stdout.write("%d.%d" % sys.version_info[:2])' 2>/dev/null </dev/null || :
}

# What a Python that does not start says of that, such as which library is missing.
complaint_of() { # PYTHON
    said=$("$1" -E -S -c '' 2>&1 >/dev/null </dev/null) || printf ' (%s)' "${said##*"$newline"}"
}

# With another Python from 3.8 on the payload can at least tell all that is in the way, and judge what is installed.
speaks() { # VERSION
    case $1 in "$version" | 3.[89] | 3.[1-9][0-9]) ;; *) return 1 ;; esac
}

python=
if [ -n "$wanted" ]; then
    case $wanted in
    [0-9].[0-9] | [0-9].[0-9][0-9]) wanted=python$wanted ;;
    -*) wanted=./$wanted ;;
    esac
    found=$(version_of "$wanted")
    if ! speaks "$found"; then
        case $found in
        '') found="nothing that runs$(complaint_of "$wanted")" ;;
        *) found="Python $found" ;;
        esac
        fail 3 "this bundle needs Python $version, but $wanted is $found" "name a Python $version with -p"
    fi
    python=$wanted
else
    for candidate in "python$version" python3 python; do
        found=$(version_of "$candidate")
        if [ "$found" = "$version" ]; then
            python=$candidate
            break
        fi
        if [ -z "$python" ] && speaks "$found"; then
            python=$candidate
        fi
    done
    [ -n "$python" ] || fail 3 \
        "this bundle needs Python $version, but none of python$version, python3 and python in PATH is one$(
            ! command -v "python$version" >/dev/null || complaint_of "python$version"
        )" \
        "install Python $version, or name it with -p"
fi

entry=data/bootstrap/platter_payload/__main__.py
if [ -n "$signers" ]; then # the entry compares the rest of the payload before it runs, but nobody has compared the entry
    "$python" -I -S -c 'import hashlib, sys
with open(sys.argv[1], "rb") as entry, open(sys.argv[2], encoding="utf-8", errors="replace") as sums:
    sys.exit(hashlib.sha256(entry.read()).hexdigest() + "  " + sys.argv[3] + "\n" not in sums)
' "$here/$entry" "$sums" "$entry" || fail 4 "$here/$entry: altered" 'do not install this bundle: it was changed'
fi

exec "$python" -I -S -B -X utf8 "$here/$entry" "$@"
}
