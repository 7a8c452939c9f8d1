#!/bin/sh
{ # The shell reads up to the closing brace before it runs anything: a file that was cut off does nothing, and fails.
# Installs this bundle into a folder of your choice: ./install.sh DST
# Checks the signature, if asked to, and finds the right Python; the rest is data/bootstrap/platter_payload.
set -eu

usage() {
    if [ -z "$parts" ]; then
        cat
    else
        while IFS= read -r line; do
            case $line in
            *./install.sh*) printf '%s%s%s\n' "${line%%./install.sh*}" "$call" "${line#*./install.sh}" ;;
            *) printf '%s\n' "$line" ;;
            esac
        done
    fi <<'END'
usage: ./install.sh [OPTIONS] DST
       ./install.sh [OPTIONS] --root ROOT
       ./install.sh [-p PYTHON] --describe

Install this bundle into DST as a virtualenv of its own, or as a release
beside others. Nothing is downloaded.

  -p, --python PYTHON  interpreter to use
      --check          check whether it can be installed, or still runs; change
                       nothing
      --command-timeout SECONDS
                       end a command or script that takes longer (300)
      --compile        compile the modules that come without bytecode
      --describe       print what a build on another machine needs to know of
                       this one, as JSON for platter build --target; change
                       nothing
      --force          replace what is at DST
      --allowed-signers FILE
                       install only what one of these signed (see
                       ssh-keygen(1)); needs ssh-keygen
      --verify         check the bundle's files; install nothing
      --extract DIR    of a bundle that is one file: check it, and write it
                       into DIR as a folder; install nothing
  -q, --quiet          print errors only
  -h, --help           this page
      --version        name and version of what is bundled

Releases:
      --root ROOT      install into ROOT/versions/VERSION, then point
                       ROOT/versions/current at it; ROOT/platter lists,
                       activates, rolls back and prunes releases
      --no-activate    leave current as it is
      --keep N         afterwards remove all but the N newest releases, the
                       active one and the one before it
      --new-signer     with --allowed-signers: accept another signer than that
                       of the newest signed release in ROOT
      --link-mode auto|clone|hardlink|copy
                       how to take files that releases in ROOT have, too: by
                       reflink, else hard link, else copy (auto); copy shares
                       nothing
      --health-check CMD  before the switch, run CMD in the new release
      --reload CMD     after the switch, run CMD
      --ready CMD      after that, run CMD until it succeeds
      --ready-timeout SECONDS
                       for at most this time (30)
      --no-health-check, --no-reload, --no-ready
                       run none; without these options the last CMD runs
                       again, which ROOT keeps in a file with mode 0600
    CMD runs with sh -c in the release's folder, with its virtualenv active
    and HERE (that folder), PLATTER_ROOT, PLATTER_VERSION and PLATTER_PREVIOUS
    set. So do the project's pre-activate.sh, before the health check, and
    post-activate.sh, before the reload, if the bundle has them. If one fails,
    the release stays installed, and the previous one is active again (and
    reloaded).

Exit codes: 0 done, 1 failed, 2 usage, 3 no fitting Python, 4 bundle damaged,
5 host does not fit, 6 destination in the way or locked, 7 script of the
project failed, 8 health check, reload or ready command failed.
After a failure, except exit code 8, DST or ROOT is as it was; after 7 from
pre-activate.sh or post-activate.sh the release stays installed, too.
END
}

program=install.sh
call=./install.sh

fail() { # STATUS MESSAGE HINT
    printf '%s: %s\nhint: %s\n' "$program" "$2" "$3" >&2 || echo "$program: $2" >&2 # not every shell has a printf of its own
    exit "$1"
}

# platter verify runs what stands from here to the end of check_signature, with a fail of its own: one judgement of
# signatures for both.

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

newline='
'

# A bundle is a folder, or a file STEM.run: this script with a zip archive behind it. Then this line tells where the
# files lie that are read here: NAME=FIRST+SIZE, in bytes, the first byte of all counted as 1. See docs/format.md.
parts=''

is_file() { # FILE: whether it can be read. A pipe would be waited for.
    [ -f "$1" ] && [ -r "$1" ]
}

part_of() { # NAME: print FIRST+SIZE of a file of the bundle STEM.run; fail if it has none of that name
    case " $parts " in *" $1="*) ;; *) return 1 ;; esac
    part=" $parts "
    part=${part#*" $1="}
    printf '%s' "${part%% *}"
}

with_file() { # BUNDLE NAME COMMAND: let a command read a file of the bundle; fail if it has none of that name
    file=$1
    if [ -z "$parts" ]; then
        file=$1/$2
        is_file "$file" || return 1
        shift 2
        "$@" <"$file" # a folder needs no programs
    else
        part=$(part_of "$2") || return 1
        shift 2
        tail -c "+${part%+*}" <"$file" 2>/dev/null | head -c "${part#*+}" | "$@"
    fi
}

contents_of() { # BUNDLE NAME: print a file of the bundle; fail if it has none of that name
    with_file "$1" "$2" cat
}

is_within() { # FILE BYTES: whether it can be read and is no longer than that
    is_file "$1" && size=$(wc -c <"$1") && [ "$((size))" -le "$2" ]
}

with_signature() { # OPERATION ARGUMENTS: run ssh-keygen with the signature of `bundle`, and with SHA256SUMS
    if [ -z "$parts" ]; then
        ssh-keygen -Y "$@" -s "$bundle/SHA256SUMS.sig" <"$bundle/SHA256SUMS"
    else
        contents_of "$bundle" SHA256SUMS.sig | { contents_of "$bundle" SHA256SUMS | ssh-keygen -Y "$@" -s /dev/fd/3; } 3<&0
    fi
}

# Sets `signer` to the name that the allowed signers file has for the key. Without such a file it only has to be a
# signature of this SHA256SUMS.
check_signature() { # BUNDLE SIGNERS NAME
    bundle=$1
    signer=
    command -v ssh-keygen >/dev/null || fail 5 'ssh-keygen, which checks signatures, is not on this machine' \
        "install OpenSSH's client programs, or check the bundle where they are"
    [ -z "$2" ] || is_within "$2" 2097152 || # TEXT in untrusted.py
        fail 2 "$2 cannot be read as a file of at most 2 MiB" 'name an allowed signers file, as ssh-keygen(1) describes it'
    if [ -z "$parts" ]; then
        [ -e "$1/SHA256SUMS.sig" ] || [ -h "$1/SHA256SUMS.sig" ]
    else
        part_of SHA256SUMS.sig >/dev/null
    fi || fail 4 "$3 is not signed" 'get a bundle that is: it was built without --sign-with'
    if [ -n "$parts" ]; then
        [ -e /dev/fd/3 ] 3</dev/null || fail 5 'there is no /dev/fd here, through which ssh-keygen gets the signature' \
            "mount /proc, or unpack the bundle with --extract where its signature can be checked"
    elif [ -h "$1/SHA256SUMS" ] || [ -h "$1/SHA256SUMS.sig" ] ||
        ! is_within "$1/SHA256SUMS" 8388608 || ! is_within "$1/SHA256SUMS.sig" 65536; then # LIST, SIGNATURE
        fail 4 "$3: SHA256SUMS and SHA256SUMS.sig are not files of at most 8 MiB and 64 KiB" 'copy the bundle to this machine again'
    fi
    case $(ssh-keygen -n platter -Y find-principals 2>&1) in
    *usage:*) fail 5 'ssh-keygen is too old to check signatures' 'install OpenSSH 8.2 or newer, or check the bundle where it is' ;;
    esac
    maker=$(with_signature check-novalidate -n platter 2>&1) ||
        fail 4 "$3: SHA256SUMS.sig is no signature of SHA256SUMS: $maker" 'do not install this bundle: it was changed'
    [ -n "$2" ] || return 0
    signer=$(with_signature find-principals -f "$2" 2>/dev/null) || signer=
    signer=${signer%%"$newline"*}
    with_signature verify -n platter -f "$2" -I "$signer" >/dev/null 2>&1 ||
        fail 4 "$3 is signed with ${maker##* with }, which $2 does not allow" \
            'do not install this bundle unless you know whose key that is'
}
# End of check_signature.

# The bundle's folder, or its file, also when this is called through a link.
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
if [ -n "$parts" ]; then
    here=$here/${self##*/}
    # Piped into a shell this is no file, and $0 the shell.
    third=
    ! is_file "$here" || { IFS= read -r third && IFS= read -r third && IFS= read -r third; } <"$here" 2>/dev/null || third=
    case $third in
    '# Installs this bundle '*) ;;
    *) fail 2 'this bundle is a file to be kept, and was piped into a shell' 'save it as bundle.run, then: sh bundle.run --help' ;;
    esac
    program=${self##*/}
    call="sh $program"
fi

print_line() {
    IFS= read -r line || :
    printf '%s' "$line"
}

wanted=
signers=
signer=
root=
destination=
checking=
describing=
previous=
for argument do
    if [ "$previous" = -- ]; then
        destination=$argument
        continue
    elif [ -n "$previous" ]; then
        [ -n "$argument" ] || break
        case $previous in
        -p | --python) wanted=$argument ;;
        --allowed-signers) signers=$argument ;;
        --root) root=$argument ;;
        esac
        previous=
        continue
    fi
    case $argument in
    --) previous=-- ;;
    -h | --help)
        usage
        exit 0
        ;;
    --version)
        package=$(with_file "$here" PACKAGE print_line) || package=/
        release=$(with_file "$here" VERSION print_line) || release=/
        case $package$release in
        *[!A-Za-z0-9._+!-]*) fail 4 "$here/PACKAGE or $here/VERSION does not hold a name or version" 'copy the bundle to this machine again' ;;
        esac
        printf '%s %s\n' "$package" "$release"
        exit 0
        ;;
    --python=*) wanted=${argument#--python=} ;;
    -p?*) wanted=${argument#-p} ;;
    --allowed-signers=?*) signers=${argument#--allowed-signers=} ;;
    --root=?*) root=${argument#--root=} ;;
    --check) checking=yes ;;
    --describe) describing=yes ;; # the server, with a Python of its own if it has one
    -?*) ;;
    *) destination=$argument ;;
    esac
    case $argument in
    --python= | --allowed-signers=) fail 2 "${argument%=} needs a value" "$call --help lists the options" ;;
    -p | --python | --allowed-signers | --root | --keep | --health-check | --reload | --ready | --ready-timeout | --command-timeout | --link-mode | --extract) previous=$argument ;;
    esac
done
[ -z "${previous#--}" ] || fail 2 "$previous needs a value" "$call --help lists the options"

# The signature speaks for SHA256SUMS, and that for every other file: nothing of the bundle is used before.
[ -z "$signers" ] || check_signature "$here" "$signers" "$here"

PLATTER_SIGNER=$signer # which the payload takes out of the environment
export PLATTER_SIGNER

# Print what is read of info.json, which has it on lines of their own before the targets: VERSIONS|FILE|MACHINE|LOADER|.
# VERSIONS are the Pythons of the targets in their order, `3.11 3.13t`, or with platforms where the targets have several:
# `3.11@linux_aarch64 3.11@linux_x86_64`. The others are keys of the interpreter that the bundle brings, if it does.
print_keys() {
    found='' keys='' inside=
    while IFS= read -r line; do
        case $inside$line in
        '  "python": "'*'"'* | '  "pythons": "'*'"'*)
            found=${line#*'": "'}
            found=${found%%'"'*}
            ;;
        '  "interpreter": {') inside=yes ;;
        yes'    "file": "'*'",' | yes'    "machine": "'*'",' | yes'    "loader": "'*'",')
            line=${line#*'": "'}
            keys=$keys${line%'",'}'|'
            ;;
        yes'  }'*) inside= ;;
        '  "targets": '*) break ;;
        esac
    done
    printf '%s|%s' "$found" "$keys"
}

keys=$(with_file "$here" info.json print_keys) || keys=
versions=${keys%%"|"*}
keys=${keys#*"|"}
archive=${keys%%"|"*}
keys=${keys#*"|"}
machine=${keys%%"|"*}
keys=${keys#*"|"}
loader=${keys%%"|"*}
case $versions in
*[!0-9A-Za-z@._\ ]*) versions= ;;
esac
shown= # for people: 3.11 or 3.13
for version in $versions; do
    version=${version%%@*}
    case ${version%t} in
    *[!0-9.]* | *.*.*) versions= ;; # it becomes the name of a command
    [0-9]*.[0-9]*) ;;
    *) versions= ;;
    esac
    case " $shown " in *" $version "*) ;; *) shown="$shown${shown:+ or }$version" ;; esac
done
[ -n "$versions" ] || fail 4 "$here/info.json does not name a Python version" 'copy the bundle to this machine again'

identity=${archive#python/}
identity=${identity%.tar.gz} # the name of its folder in ROOT/pythons
case $archive in
'' | "python/$identity.tar.gz") ;;
*) identity=/ ;;
esac
case $identity in
.* | *[!A-Za-z0-9.+-]*) fail 4 "$here/info.json does not name an interpreter" 'copy the bundle to this machine again' ;;
esac

# Such as 3.13t, as `versions` has it. -E and -S ignore the environment and site packages, -B writes no bytecode: an
# interpreter that was unpacked is compared file by file. Python 2 knows these options.
version_of() { # PYTHON [MODULES]: nothing if it does not start, or lacks one of them
    "$1" -E -S -B -c 'import sys
sys.path = [folder for folder in sys.path if folder]  # not the current one
for name in sys.argv[2].split():
    __import__(name)
free = "t" in getattr(sys, "abiflags", "")
sys.stdout.write("%d.%d" % sys.version_info[:2] + "t" * free)
if "@" in sys.argv[1]:
    import sysconfig
    sys.stdout.write("@" + sysconfig.get_platform().replace("-", "_").replace(".", "_"))' "$versions" "${2-}" 2>/dev/null </dev/null || :
}

# The last line that a Python which does not start prints, such as which library is missing.
complaint_of() { # PYTHON
    said=$("$1" -E -S -B -c '' 2>&1 >/dev/null </dev/null) || printf ': %s' "${said##*"$newline"}"
}

# With another Python from 3.8 on the payload can still report every problem, and check what is installed.
speaks() { # VERSION
    case ${1%%@*} in 3.[89] | 3.[1-9][0-9] | 3.[1-9][0-9]t) ;; *) return 1 ;; esac
}

is_own() { # PATH
    # shellcheck disable=SC3067  # posh has no -O, which asks for the owner of what a link leads to.
    [ -O "$1" ] 2>/dev/null && return
    # shellcheck disable=SC2046  # In words.
    set -- $(ls -ldnL "$1" 2>/dev/null)
    [ "${3-}" = "$(id -u)" ]
}

is_safe() { # PATH...: the superuser runs nothing that belongs to somebody else, nor from such a folder
    [ "$(id -u)" = 0 ] || return 0
    for path do is_own "$path" || return 1; done
}

# Sets `near` to the closest folder to ROOT or DST that exists, from which an interpreter can be moved there.
find_near() {
    near=${root:-$destination}
    case $near in /*) ;; *) near=./$near ;; esac
    while :; do
        case $near in ?*/) near=${near%/} ;; *) break ;; esac
    done
    [ -n "$root" ] || near=${near%/*}
    while [ -n "$near" ] && [ ! -d "$near" ]; do near=${near%/*}; done
    [ -n "$near" ] || near=/
}

# Removes what killed runs have left in `near`, or above it when that was not there yet.
remove_left() {
    for old in "$near/.platter-python.$host".* "${near%/*}/.platter-python.$host".*; do
        if [ -d "$old" ] && [ ! -h "$old" ] && is_own "$old" && ! kill -0 "${old##*.}" 2>/dev/null; then rm -rf "$old"; fi
    done
}

check_archive() { # The hash, where a program for that is here; the payload compares it once more.
    if [ -z "$parts" ]; then is_file "$here/data/$archive"; else part_of "data/$archive" >/dev/null; fi ||
        fail 4 "data/$archive is missing${root:+, and there is none that works in $root/pythons}" 'send the full bundle'
    if command -v sha256sum >/dev/null; then
        found=$(contents_of "$here" "data/$archive" | sha256sum)
        contents_of "$here" SHA256SUMS | while read -r digest name; do
            if [ "$name" = "data/$archive" ] && [ "$digest" = "${found%% *}" ]; then printf same; fi
        done | { read -r found || :; [ "$found" = same ]; } ||
            fail 4 "data/$archive: not what SHA256SUMS says" 'copy the bundle to this machine again'
    elif [ -n "$signers" ]; then
        fail 5 'sha256sum, which compares the interpreter before it runs, is not on this machine' \
            "install it, or name a Python $shown with -p"
    fi
}

# Sets `python` to the interpreter of the bundle: the one in ROOT/pythons, if it is there and works, else one in the
# temporary folder `unpacked`. The payload compares both with the bundle, and moves the one to where it belongs.
take_interpreter() {
    found=$(uname -m 2>/dev/null) || found=$machine
    [ "$found" = "$machine" ] || fail 5 "the interpreter in this bundle is for $machine, and this machine is $found" \
        "build a bundle for this machine, or name a Python $shown with -p"
    if [ -n "$loader" ] && [ ! -e "$loader" ]; then
        case $loader in *musl*) found=musl ;; *) found=glibc ;; esac
        fail 5 "the interpreter in this bundle is for systems with $found, and this one lacks $loader" \
            "build a bundle with an interpreter for this system, or name a Python $shown with -p"
    fi
    place=$root/pythons/$identity
    case $place in /*) ;; *) place=./$place ;; esac
    python=$place/bin/python3
    if [ -n "$root" ] && is_safe "$root" "${place%/*}" "$place" "$place/bin" "$python" &&
        [ "$(version_of "$python" 'csv hashlib json subprocess tarfile zipfile')" = "$versions" ]; then return; fi
    check_archive
    find_near
    host=$(uname -n 2>/dev/null) || host=
    if [ -n "$checking" ] || [ -z "$root$destination" ] || ! is_safe "$near"; then near=; else remove_left; fi
    for place in "$near" "${TMPDIR:-/tmp}" /tmp /var/tmp /dev/shm; do
        unpacked=$place/.platter-python.$host.$$
        if [ -z "$place" ] || ! (umask 077 && mkdir "$unpacked") 2>/dev/null; then continue; fi
        trap 'rm -rf "$unpacked"' EXIT
        trap 'exit 129' HUP
        trap 'exit 130' INT
        trap 'exit 143' TERM
        python=$unpacked/python/bin/python3
        if said=$(umask 022 && contents_of "$here" "data/$archive" | (cd "$unpacked" && tar -xzof -) 2>&1); then
            if said=$("$python" -E -S -B -c '' 2>&1 </dev/null); then return; fi
        elif command -v gzip >/dev/null && ! contents_of "$here" "data/$archive" | gzip -t 2>/dev/null; then
            fail 4 "data/$archive is cut off or altered" 'copy the bundle to this machine again'
        fi
        rm -rf "$unpacked"
    done
    fail 5 "the interpreter in this bundle cannot be unpacked and run in $place: ${said##*"$newline"}" \
        "set TMPDIR to a folder with room that is not mounted noexec; or name a Python $shown with -p"
}

python=
unpacked=
said='no folder for temporary files can be written to'
if [ -z "$wanted" ] && [ -n "$archive" ] && [ -z "$describing" ]; then
    take_interpreter
elif [ -n "$wanted" ]; then
    case $wanted in
    [0-9].[0-9] | [0-9].[0-9][0-9] | [0-9].[0-9][0-9]t) wanted=python$wanted ;;
    -*) wanted=./$wanted ;;
    esac
    found=$(version_of "$wanted")
    if ! speaks "$found"; then
        case $found in
        '') found="could not be run$(complaint_of "$wanted")" ;;
        *) found="is Python ${found%%@*}" ;;
        esac
        fail 3 "this bundle needs Python $shown, but $wanted $found" "name a Python $shown with -p"
    fi
    python=$wanted
else
    commands='' names='' # what was looked for: as words, and for people
    for version in $versions; do # the first one that is here
        for candidate in "python${version%%@*}" python3 python; do
            found=$(version_of "$candidate")
            if [ "$found" = "$version" ]; then
                python=$candidate
                break 2
            fi
        done
        version=${version%%@*}
        case "$commands " in *" python$version "*) ;; *) commands="$commands python$version" names="${names}python$version, " ;; esac
    done
    if [ -z "$python" ]; then
        complaint=
        for candidate in $commands python3 python; do
            if speaks "$(version_of "$candidate")"; then
                python=$candidate
                break
            fi
            case $candidate in
            python3 | python) ;;
            *) ! command -v "$candidate" >/dev/null || complaint=$complaint$(complaint_of "$candidate") ;;
            esac
        done
    fi
    [ -n "$python" ] || [ -z "$archive" ] || take_interpreter
    [ -n "$python" ] || fail 3 \
        "this bundle needs Python $shown, but none of ${names%, }, python3 and python in PATH is one$complaint" \
        "install Python $shown, or name it with -p"
fi

PLATTER_INTERPRETER=$unpacked # as above
export PLATTER_INTERPRETER

# The entry compares the rest of the payload with SHA256SUMS before it uses any of it. It is itself compared here.
entry=data/bootstrap/platter_payload/__main__.py
if [ -z "$parts" ]; then
    for name in SHA256SUMS "$entry"; do # a pipe would be waited for
        is_file "$here/$name" || fail 4 "$here/$name: missing, or no file" 'copy the bundle to this machine again'
    done
fi
trap - EXIT HUP INT TERM # what is started removes what was unpacked
exec "$python" -I -S -B -X utf8 -c 'import os, sys
program, bundle, name, *parts = sys.argv[1:6]
del sys.argv[1:6]
def read(name, part):
    with open(bundle if part else bundle + "/" + name, "rb") as file:
        first, _, size = part.partition("+")
        file.seek(int(first or 1) - 1)
        return file.read(int(size or 8 << 20))
def fail(status, found, hint):
    sys.stderr.write("%s: %s\nhint: %s\n" % (program, found, hint))
    if os.environ["PLATTER_INTERPRETER"]:
        import shutil
        shutil.rmtree(os.environ["PLATTER_INTERPRETER"], ignore_errors=True)
    sys.exit(status)
try:
    from hashlib import sha256
    sums, entry = map(read, ("SHA256SUMS", name), parts)
except ImportError as error:
    found = "%s lacks a part of the standard library (%s)" % (sys.executable, error)
    fail(3, found, "install all of Python, or name another one with -p")
except OSError as error:
    fail(4, error, "copy the bundle to this machine again")
if ("\n%s  %s\n" % (sha256(entry).hexdigest(), name)).encode() not in b"\n" + sums:
    fail(4, name + ": altered, or cut off", "copy the bundle to this machine again")
path = bundle + "/" + name
exec(compile(entry, path, "exec"), {"__name__": "__main__", "__file__": path, "SUMS": sums})
' "$program" "$here" "$entry" "$(part_of SHA256SUMS || :)" "$(part_of "$entry" || :)" "$@"
}
